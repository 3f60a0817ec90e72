"""What a manifest says of registration: requests to a system, and what of it can't be meant."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from servers.systems.hooking import MANIFEST

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Registration, Response
from worker.connectors.manifest.model import read_manifest
from worker.connectors.manifest.schema import schema
from worker.errors import InvalidInput, Transient
from worker.parsing.documents import read_document, validate
from worker.secrets import Secret
from worker.webhooks.registering import Wish

NOW = datetime(2026, 3, 1, tzinfo=UTC)
URL = "https://headrace.example.com/webhooks/7"


def registration(text: str = MANIFEST) -> Registration:
    document = read_document(text.encode(), "manifest.yaml")
    validate(document, schema())
    source = ManifestConnector(read_manifest(document)).bind({"base_url": "https://h.example.com"})
    assert source.webhooks is not None
    assert source.webhooks.registration is not None
    return source.webhooks.registration


def answer(said: Any) -> Response:
    return Response(
        200, {}, said if isinstance(said, bytes) else json.dumps(said).encode(), "https://h/hooks"
    )


WITH_TOPICS = MANIFEST.replace(
    "    secret: hook_secret\n",
    "    secret: hook_secret\n    topics: [parts, orders]\n    topic: kind\n    lasts: 3d\n",
).replace('secret: "{secret}"}', 'secret: "{secret}", kind: "{topic}", until: "{expires}"}')


def test_a_request_holds_what_is_wished() -> None:
    found = registration(WITH_TOPICS)
    assert list(found.topics) == ["parts", "orders"]
    request = found.create(Wish(URL, URL, NOW, "parts", Secret("s")))
    assert (request.method, request.url) == ("POST", "/hooks")
    assert json.loads(request.body or b"") == {
        "target": URL, "secret": "s", "kind": "parts", "until": "2026-03-04T00:00:00.000Z",
    }  # fmt: skip
    assert "'s'" not in repr(Wish(URL, URL, NOW, "", Secret("s")))
    assert found.remove("a b?").url == "/hooks/a%20b%3F"


def test_a_topic_may_stand_in_a_longer_text_and_requests_may_have_headers_of_their_own() -> None:
    text = WITH_TOPICS.replace("topic: kind", "topic: {path: kind, pattern: '/([a-z]+)$'}")
    text = text.replace("    remove: {", "    remove: {headers: {If-Match: '*'}, ")
    found = registration(text)
    known = [
        {"id": 1, "target": URL, "kind": "/v2/orders", "ends_at": None},
        {"id": 2, "target": URL, "kind": "/v2/7"},
    ]
    assert [one.topic for one in found.listed(answer({"data": known}))] == ["orders", None]
    assert found.remove("1").headers["If-Match"] == "*"


def test_an_id_can_not_lead_a_request_elsewhere() -> None:
    with pytest.raises(InvalidInput):
        registration().remove("../parts")


@pytest.mark.parametrize("said", [b"<html>", {}, {"data": {}}, b"\xff", [], b"[" * 100_000])
def test_an_answer_that_is_no_list_says_nothing_of_what_is_registered(said: Any) -> None:
    with pytest.raises(Transient, match="answered without"):
        registration().listed(answer(said))


def test_what_can_not_be_named_is_not_listed() -> None:
    odd = [{"id": None, "target": URL}, {"target": URL}, {"id": True}, 3, None, {"id": 4, "target": ["x"]}]
    (found,) = registration().listed(answer({"data": odd}))
    assert (found.id, found.url, found.enabled) == ("4", None, False)


WRONG: list[tuple[Callable[[str], str], str]] = [
    (lambda text: text.replace('target: "{url}", ', ""), r"\{url\}"),
    (lambda text: text.replace("    secret: hook_secret\n", ""), "`secret` is missing"),
    (lambda text: text.replace("    secret: hook_secret\n", "    secret: hok_secret\n"), "no secret"),
    (lambda text: text.replace('"{secret}"', '"{secrt}"'), "stands for nothing"),
    (lambda text: text.replace('remove: {path: "/hooks/{id}"}', "remove: {path: /hooks}"), "which"),
    (lambda text: text.replace("answer: data}", "answer: data, secret: key}"), "Either we choose"),
    (lambda text: text.replace("    url: target\n", "    url: target\n    topics: [a]\n"), "go together"),
    (lambda text: text.replace("    url: target\n", "    url: target\n    lasts: 1d\n"), "go together"),
    (lambda text: text.replace("path: /hooks, body", 'path: "/hooks/{secret}", body'), "stands for nothing"),
    (lambda text: text.replace("list: {path: /hooks", "list: {path: 'https://elsewhere'"), "list"),
]


@pytest.mark.parametrize(("change", "words"), WRONG)
def test_what_can_not_be_meant_is_said_with_its_line(change: Callable[[str], str], words: str) -> None:
    text = change(MANIFEST)
    assert text != MANIFEST
    with pytest.raises(InvalidInput, match=words) as failed:
        registration(text)
    assert failed.value.place
    assert failed.value.place.startswith("manifest.yaml:")
