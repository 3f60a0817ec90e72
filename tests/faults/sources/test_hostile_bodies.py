"""A source sends what no honest system sends: nothing crashes, good neighbours are stored, bad ones set aside."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from servers.installation.stack import Stack
from servers.systems.scripted import Said, Scripted, scripted_source
from servers.waiting import wait_until

from scheduler.connections.apply import apply
from scheduler.connections.remove import remove_connection
from worker.parsing.documents import read_document
from worker.runs.cancel import cancel_run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

DEPTH = 10_000
MANIFEST = {
    "manifest": 1,
    "system": "hostile",
    "title": "A hostile system",
    "protocol": "rest",
    "base_url": "{base_url}",
    "settings": {"base_url": {"required": True, "description": "Where the test listens."}},
    "defaults": {"records": "data", "key": "id"},
    "streams": {"things": {"path": "/things"}},
}
BAD = {
    "nul_in_the_key": rb'{"id": "nul\u0000"}',
    "half_a_pair_in_the_key": rb'{"id": "half\ud800"}',
    "broken_utf8": b'{"id": "broken_utf8", "v": "\xc3\x28"}',
    "overlong_utf8": b'{"id": "overlong_utf8", "v": "\xc0\xaf"}',
    "deep": b'{"id": "deep", "v": ' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    "deep_objects": b'{"id": "deep_objects", "v": ' + b'{"a":' * DEPTH + b"1" + b"}" * DEPTH + b"}",
    "long_key": json.dumps({"id": "\U0001f527" * 1000}, ensure_ascii=False).encode(),
    "no_key": b'{"v": 1}',
    "null_key": b'{"id": null}',
    "list_as_key": b'{"id": [1, 2]}',
    "no_object": b'"just a text"',
    "null": b"null",
}
UNREADABLE = {
    "nul": (rb'{"id": "nul", "v": "a\u0000b"}', rb'{"id": "nul", "v": "a\ufffdb"}'),
    "nul_in_a_name": (
        rb'{"id": "nul_in_a_name", "a\u0000b": 1}',
        rb'{"id": "nul_in_a_name", "a\ufffdb": 1}',
    ),
    "half_a_pair": (rb'{"id": "half_a_pair", "v": "\ud800"}', rb'{"id": "half_a_pair", "v": "\ufffd"}'),
    "halves_of_pairs": (
        rb'{"id": "halves_of_pairs", "v": "\udc00\ud800 \ud83d\ude00"}',
        rb'{"id": "halves_of_pairs", "v": "\ufffd\ufffd \ud83d\ude00"}',
    ),
}
"""Sound JSON that Postgres can keep and not open: as it came, and as it can be read."""
ODD = {
    "huge_integer": b'{"id": "huge_integer", "v": ' + b"9" * 5000 + b"}",
    "huge_float": b'{"id": "huge_float", "v": 1e400}',
    "tiny_float": b'{"id": "tiny_float", "v": -1e-400}',
    "twice_the_same_name": b'{"id": "twice_the_same_name", "v": 1, "v": 2}',
    "long": json.dumps({"id": "long", "v": "x" * 5_000_000}).encode(),
    "emoji": '{"id": "emoji", "v": "\U0001f469\u200d\U0001f527"}'.encode(),
    "escaped_backslash": rb'{"id": "escaped_backslash", "v": "\\u0000"}',
    "odd_space": b'{ "id"\n:\t"odd_space" , "v" : [ ] }',
    "sql": b'{"id": "sql", "v": "\'; DROP TABLE records; -- %s %(x)s {0}"}',
}
"""Strange but sound: kept, every byte as it came."""


def add_systems(folder: Path) -> None:
    (folder / "hostile").mkdir()
    (folder / "hostile" / "manifest.yaml").write_text(json.dumps(MANIFEST))


class Hostile:
    def __init__(self, stack: Stack, source: Scripted) -> None:
        self.stack = stack
        self.source = source
        self.name = f"hostile-{uuid4().hex[:8]}"

    def connect(self, body: bytes, **headers: str) -> None:
        """The first run is due as soon as it is connected."""
        headers = {"Content-Type": "application/json", **headers}
        self.source.script = lambda _asked: Said(body, headers=headers)
        connection = {
            "id": self.name,
            "system": "hostile",
            "settings": {"base_url": self.source.base_url},
            "schedule": {"every": "7d"},
        }
        text = json.dumps({"version": 1, "connections": [connection]})
        apply(self.stack.database, self.stack.registry, read_document(text.encode(), "hostile"))

    def outcome(self) -> dict[str, object]:
        self.stack.wait_until_idle()
        return self.stack.one("SELECT * FROM run_history WHERE stream_id = %(id)s", id=self.stream())

    def stream(self) -> int:
        number: int = self.stack.one(
            "SELECT s.id FROM streams s JOIN connections c ON c.id = s.connection_id WHERE c.name = %(name)s",
            name=self.name,
        )["id"]
        return number

    def stored(self) -> dict[str, bytes]:
        rows = self.stack.all(
            "SELECT key, raw::text AS raw FROM records WHERE stream_id = %(id)s", id=self.stream()
        )
        return {row["key"]: row["raw"].encode() for row in rows}

    def set_aside(self) -> dict[bytes, str]:
        rows = self.stack.all("SELECT raw, reason FROM quarantine WHERE stream_id = %(id)s", id=self.stream())
        return {bytes(row["raw"]): row["reason"] for row in rows}


@pytest.fixture
def hostile(stack: Stack) -> Iterator[Hostile]:
    with scripted_source(lambda _asked: Said()) as source:
        made = Hostile(stack, source)
        yield made
        remove_connection(stack.database, made.name)


def page(*records: bytes) -> bytes:
    return b'{"data": [' + b", ".join(records) + b"]}"


def neighbours(*records: bytes) -> tuple[bytes, dict[str, bytes]]:
    """A page with a good record before, between and after these; the good ones."""
    good = {f"good-{n}": f'{{"id": "good-{n}", "v": {n}}}'.encode() for n in range(len(records) + 1)}
    raws = list(good.values())
    mixed = [raw for pair in zip(raws, records, strict=False) for raw in pair]
    return page(*mixed, raws[-1]), good


def test_what_postgres_cannot_open_has_a_readable_copy_beside_its_bytes(hostile: Hostile) -> None:
    body, good = neighbours(*[sent for sent, _ in UNREADABLE.values()])
    hostile.connect(body)
    run = hostile.outcome()
    assert (run["state"], run["records_rejected"]) == ("succeeded", 0)
    rows = hostile.stack.all(
        "SELECT key, raw::text AS raw, raw::jsonb IS NOT NULL AS opens, exact FROM records WHERE stream_id = %(id)s",
        id=hostile.stream(),
    )
    assert all(row["opens"] for row in rows)
    assert {row["key"]: row["raw"].encode() for row in rows} == {
        **good, **{key: readable for key, (_, readable) in UNREADABLE.items()}
    }  # fmt: skip
    assert {row["key"]: bytes(row["exact"]) for row in rows if row["exact"] is not None} == {
        key: sent for key, (sent, _) in UNREADABLE.items()
    }


def test_bad_records_are_set_aside_with_a_reason_and_their_neighbours_are_stored(hostile: Hostile) -> None:
    body, good = neighbours(*BAD.values())
    hostile.connect(body)
    run = hostile.outcome()
    assert (run["state"], run["attempt"]) == ("partial", 0)
    assert hostile.stored() == good
    reasons = hostile.set_aside()
    for name, raw in BAD.items():
        assert reasons.get(raw), f"{name} is not in quarantine"
    assert run["records_rejected"] == len(BAD)
    assert run["records_created"] == len(good)


@pytest.mark.parametrize("name", ["nul_in_the_key", "broken_utf8", "deep", "long_key"])
def test_each_bad_record_alone_spoils_nothing(hostile: Hostile, name: str) -> None:
    body, good = neighbours(BAD[name])
    hostile.connect(body)
    run = hostile.outcome()
    assert (run["state"], run["attempt"]) == ("partial", 0)
    assert hostile.stored() == good
    assert hostile.set_aside().keys() == {BAD[name]}


def test_odd_but_sound_records_are_kept_byte_for_byte(hostile: Hostile) -> None:
    body, good = neighbours(*ODD.values())
    hostile.connect(body)
    run = hostile.outcome()
    assert run["state"] == "succeeded", hostile.set_aside().values()
    assert hostile.stored() == good | ODD


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"null", {}),
        (b"<html><body>Log in</body></html>", {"Content-Type": "text/html"}),
        (b'{"data": {"id": 1}}', {}),
        (b'{"data": [{"id": 1}', {}),
        (b"\xff\xfe" + '{"data": []}'.encode("utf-16-le"), {}),
        (b"[" * DEPTH, {}),
        (gzip.compress(page(b'{"id": 1}'))[:-9], {"Content-Encoding": "gzip"}),
        (b"not gzip", {"Content-Encoding": "gzip"}),
    ],
    ids=["empty", "null", "html", "no-list", "half", "utf-16", "deep", "half-gzip", "no-gzip"],
)
def test_an_answer_that_is_no_page_is_a_clear_failure(
    hostile: Hostile, body: bytes, headers: dict[str, str]
) -> None:
    """The run tries again later; nothing was stored and nothing crashed."""
    hostile.connect(body, **headers)
    run_id = wait_for_failure(hostile)
    row = hostile.stack.one("SELECT * FROM runs WHERE id = %(id)s", id=run_id)
    assert row["error_code"] in {"malformed_page", "broken_answer"}, row["error"]
    assert len(row["error"]) < 500
    assert not hostile.stored()
    cancel_run(hostile.stack.database, run_id)


def test_an_answer_that_unpacks_to_more_than_memory_holds_is_refused(hostile: Hostile) -> None:
    """A page of two hundred megabytes in two hundred kilobytes."""
    body = gzip.compress(page(b'"' + b"x" * 200_000_000 + b'"'), 6)
    hostile.connect(body, **{"Content-Encoding": "gzip"})
    run = hostile.outcome()
    assert (run["state"], run["error_code"]) == ("failed", "page_too_large")
    assert not hostile.stored()


def wait_for_failure(hostile: Hostile) -> UUID:
    wait_until(
        lambda: hostile.stack.all(
            "SELECT FROM runs WHERE stream_id = %(id)s AND wait_reason = 'retry'", id=hostile.stream()
        ),
        what="a run that waits for another attempt",
    )
    run_id: UUID = hostile.stack.one("SELECT id FROM runs WHERE stream_id = %(id)s", id=hostile.stream())[
        "id"
    ]
    assert not hostile.stack.logged("run_crashed")
    return run_id
