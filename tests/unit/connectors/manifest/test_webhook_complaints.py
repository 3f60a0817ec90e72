"""What a manifest says of webhooks and can't mean is complained of with its line, and with what to do."""

from typing import Any

import pytest
from servers.systems.telling import EVENTS, VERIFY, manifest_text

from worker.connectors.manifest.model import read_manifest
from worker.connectors.manifest.schema import schema
from worker.errors import HeadraceError
from worker.parsing.documents import read_document, validate

HMAC = VERIFY["hmac"]
CREATE = {"path": "/hooks", "body": {"to": "{url}"}}
REGISTER = {
    "list": {"path": "/hooks"}, "url": "to", "create": CREATE, "remove": {"path": "/hooks/{id}"},
}  # fmt: skip


def hmac(**more: Any) -> dict[str, Any]:
    return {"verify": {"hmac": HMAC | more}}


def event(**more: Any) -> dict[str, Any]:
    return {"events": [*EVENTS, {"stream": "parts"} | more]}


def register(**more: Any) -> dict[str, Any]:
    return {"register": REGISTER | more}


COMPLAINTS: list[tuple[dict[str, Any], str, str]] = [
    ({"at": {"field": "at", "zone": "Europe/Berln"}}, '"zone"', "no time zone 'Europe/Berln'"),
    ({"at": {"field": "at", "zone": "{site}"}}, '"zone"', "not by a setting"),
    ({"at": {"field": "at", "format": "%H:%M"}}, '"format"', "a moment has a year"),
    (hmac(secret="hok"), '"secret": "hok"', "There is no secret 'hok' in this manifest"),
    (hmac(secret=["hook", "nxt"]), '"secret": [', "There is no secret 'nxt'"),
    (hmac(algorithm="md5"), '"algorithm"', "sha256"),
    (hmac(signed="{bdy}"), '"signed"', "{bdy} stands for nothing"),
    (hmac(signed="{header:X-Time}.{body}"), '"signed"', "stands for nothing"),
    (hmac(signed="{timestamp}.{body}"), '"signed"', "needs `timestamp`"),
    (hmac(signed="always the same"), '"signed"', "no part of the request"),
    (hmac(timestamp={"header": "X-Time"}), '"hmac"', "the time isn't part of what is signed"),
    (hmac(tolerance="soon"), '"tolerance"', "soon"),
    (
        {"verify": {"timestamped": HMAC | {"signed": "{body}"}}},
        '"signed"',
        "the time isn't part of what is signed",
    ),
    ({"verify": {"sha256": HMAC}}, '"sha256"', "sha256"),
    ({"verify": []}, '"verify"', "verify"),
    ({"verify": {"field": {"path": "a.b", "secret": "no"}}}, '"secret": "no"', "There is no secret 'no'"),
    (
        {"handshake": {"echo": {"param": "a", "token_param": "b"}}},
        '"echo"',
        "token_param and secret go together",
    ),
    (
        {"handshake": {"echo": {"param": "a", "token_param": "b", "secret": "no"}}},
        '"secret": "no"',
        "There is no secret 'no'",
    ),
    ({"batch": "events.*"}, '"batch"', "its path holds no *"),
    ({"events": []}, '"events"', "events"),
    (event(stream="prts"), '"stream": "prts"', "There is no stream 'prts'"),
    (event(record="a..b"), '"record"', "record can't be 'a..b'"),
    (event(deleted=True), "{", "must be named by its key"),
    (event(key="id", believed=True), '"believed"', "Only a delete is believed"),
    (event(key={"path": "id", "pattern": "("}), '"pattern"', "regular expression"),
    (event(key={"path": "id", "header": "X-Id"}), '"key"', "key"),
    (event(types="part.*"), '"types"', "types"),
    (register(create={"path": "/hooks", "body": {"to": "us"}}), '"create"', "where to send: {url}"),
    (register(remove={"path": "/hooks"}), '"path": "/hooks"', "It must say which: {id}"),
    (register(create=CREATE | {"body": {"to": "{url}", "key": "{secret}"}}), '"register"', "`secret` is missing"),
    (register(create=CREATE | {"secret": "key"}), '"register"', "`secret` is missing"),
    (
        register(secret="hook", create={"path": "/h", "body": {"to": "{url}", "k": "{secret}"}, "secret": "key"}),
        '"secret": "key"',
        "Either we choose the secret, or the system does",
    ),
    (register(secret="hok"), '"secret": "hok"', "There is no secret 'hok'"),
    (register(lasts="3d"), '"register"', "{expires} in a body and `lasts` go together"),
    (register(topics=["a"]), '"register"', "`topics`, `topic` and {topic}"),
    (register(enable={"path": "/hooks/{idd}"}), '"path": "/hooks/{idd}"', "{idd} stands for nothing here"),
    (register(list={"path": "/hooks/{id}"}), '"path": "/hooks/{id}"', "{id} stands for nothing here"),
    (
        register(topics=["a"], topic="t", secret="hook", create={"path": "/h", "body": {"to": "{url}", "of": "{topic}"}, "secret": "k"}),
        '"topics"',
        "one webhook must be for all",
    ),
]  # fmt: skip


def complaint(text: str) -> HeadraceError | None:
    document = read_document(text.encode(), "manifest.yaml")
    try:
        validate(document, schema())
        read_manifest(document)
    except HeadraceError as error:
        return error
    return None


@pytest.mark.parametrize(("said", "line", "words"), COMPLAINTS, ids=lambda value: str(value)[:60])
def test_what_can_not_be_meant_is_said_with_its_line(said: dict[str, Any], line: str, words: str) -> None:
    text = manifest_text(said)
    error = complaint(text)
    assert error is not None
    shown = " ".join(str(each) for each in (error, error.hint, *getattr(error, "problems", ())))
    assert words in shown
    numbers = [number for number, written in enumerate(text.splitlines(), 1) if line in written]
    assert any(f"manifest.yaml:{number}:" in shown for number in numbers), (shown, numbers)
