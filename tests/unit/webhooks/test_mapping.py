"""From a payload to work: which records of which streams, and what is said of them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from servers.systems.telling import webhooks_of

from worker.connectors.contract import Delivery, Hint
from worker.connectors.manifest.webhooks.mapping import MOST_HINTS
from worker.webhooks.delivery import Refusal, Told

KEYED = {"stream": "parts", "key": "data.id"}


def told(body: Any, *headers: tuple[str, str], fresh: str = "f", **said: Any) -> Told[Hint]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    webhooks = webhooks_of(**({"events": [KEYED]} | said))
    return webhooks.told(Delivery("POST", content, headers), b"signed", fresh)


def meant(body: Any, *headers: tuple[str, str], **said: Any) -> list[tuple[str, str, str | None]]:
    """Stream, kind and key of each."""
    return [(hint.stream, hint.kind, hint.key) for hint in told(body, *headers, **said).hints]


@pytest.mark.parametrize(
    ("event", "rule", "expected"),
    [
        ({"data": {"id": "P-1"}}, KEYED, [("parts", "record", "P-1")]),
        ({"data": {"id": 7}}, KEYED, [("parts", "record", "7")]),
        ({"data": {"id": "P-1"}}, KEYED | {"deleted": True}, [("parts", "delete", "P-1")]),
        ({}, {"stream": "parts"}, [("parts", "stream", None)]),
        ({"site": 1, "bin": "A"}, {"stream": "bins", "key": ["site", "bin"]}, [("bins", "record", '[1,"A"]')]),
        (
            {"items": [{"id": 1}, {"id": 2}, {"id": 1}, {"no": 3}]},
            {"stream": "parts", "key": "items.*.id"},
            [("parts", "record", "1"), ("parts", "record", "2")],
        ),
        (
            {"to": "/v2/parts/P-9?x=1"},
            {"stream": "parts", "key": {"path": "to", "pattern": "/parts/([^/?]+)"}},
            [("parts", "record", "P-9")],
        ),
        (
            {"row": {"id": "P-1", "rev": "3", "name": "bolt"}},
            {"stream": "parts", "record": "row"},
            [("parts", "full", "P-1")],
        ),
    ],
)  # fmt: skip
def test_an_event_becomes_what_the_manifest_says(
    event: Any, rule: dict[str, Any], expected: list[tuple[str, str, str | None]]
) -> None:
    assert meant(event, events=[rule]) == expected


@pytest.mark.parametrize(
    "event",
    [{}, {"data": None}, {"data": []}, {"data": "P-1"}, {"data": {"id": None}}, {"data": {}}, [], None, 5, "text"],
)  # fmt: skip
def test_an_event_that_does_not_name_its_record_is_a_word_about_the_stream(event: Any) -> None:
    assert meant([event]) == [("parts", "stream", None)]


@pytest.mark.parametrize("row", [{"name": "bolt"}, {"id": [1], "rev": "1"}, "text", None, 7])
def test_a_whole_record_that_can_not_be_one_has_the_stream_looked_at(row: Any) -> None:
    assert meant({"row": row}, events=[{"stream": "parts", "record": "row"}]) == [("parts", "stream", None)]


def test_a_whole_record_keeps_its_bytes_but_for_what_postgres_can_not_hold() -> None:
    body = b'{"row": {"rev":"1",  "id":"P-1","n":1.10,"\\u00e9":"\\u0000"}}'
    (hint,) = told(body, events=[{"stream": "parts", "record": "row"}]).hints
    assert hint.record == b'{"rev":"1",  "id":"P-1","n":1.10,"\\u00e9":"\\ufffd"}'
    whole = told(b' {"id": "P-1", "rev": "1"} ', events=[{"stream": "parts", "record": ""}])
    assert [hint.kind for hint in whole.hints] == ["full"]


@pytest.mark.parametrize(
    "name", ["x" * 1001, "P\0", "", 1.5, True, ["P-1"], {"id": 1}, 10**80], ids=lambda value: str(value)[:12]
)
def test_a_key_that_can_be_none_is_refused_alone(name: Any) -> None:
    found = told([{"data": {"id": name}}, {"data": {"id": "P-1"}}])
    assert [hint.key for hint in found.hints] == ["P-1"]
    assert [refusal.code for refusal in found.refused] == ["malformed"]


def test_types_and_places_choose_which_rules_fit_and_all_that_fit_count() -> None:
    rules = [
        {"type": "part.*", "stream": "parts", "key": "id"},
        {"type": ["order.created", "part.sold"], "stream": "orders", "key": "order"},
        {"type": "*", "where": {"audit.by": ["robot", None]}, "stream": "bins"},
    ]
    places = {"events": rules, "type": "kind"}
    sold = {"kind": "part.sold", "id": 1, "order": 2, "audit": {"by": "person"}}
    assert meant(sold, **places) == [("parts", "record", "1"), ("orders", "record", "2")]
    assert meant({"kind": "order.created", "order": 2}, **places) == [
        ("orders", "record", "2"),
        ("bins", "stream", None),
    ]
    assert meant({"kind": "other", "audit": {"by": "person"}}, **places) == []
    keys = [hint.event_key for hint in told(sold, id={"path": "order"}, **places).hints]
    assert keys == ["2", "2/1"], "one event that means two things is two events"


def test_a_type_is_put_together_of_several_places() -> None:
    said = {"type": ["entity", {"header": "X-Action"}], "events": [{"type": "part.create", **KEYED}]}
    body = {"entity": "part", "data": {"id": 1}}
    assert meant(body, ("x-action", "create"), **said) == [("parts", "record", "1")]
    assert meant(body, ("x-action", "create"), ("x-action", "other"), **said) == [], "twice is none"


def test_several_events_of_one_body_are_several() -> None:
    body = {"events": [{"data": {"id": 1}}, {"data": {"id": 2}}]}
    assert meant(body, batch="events") == [("parts", "record", "1"), ("parts", "record", "2")]
    assert meant(body["events"]) == [("parts", "record", "1"), ("parts", "record", "2")]
    assert meant({"events": []}, batch="events") == []


@pytest.mark.parametrize("body", [{"events": {}}, {"events": None}, {}, [], 5, None])
def test_a_batch_that_is_no_list_is_refused(body: Any) -> None:
    with pytest.raises(Refusal, match="A list of events was expected at 'events'"):
        told(body, batch="events")


def test_the_system_s_id_makes_a_repetition_known_and_without_one_a_digest_does() -> None:
    def key(*headers: tuple[str, str], event: Any = KEYED, **said: Any) -> str:
        return (
            told({"id": "e-1", "at": 1, "data": {"id": 1}, "x": event}, *headers, **said).hints[0].event_key
        )

    assert key(id="id") == "e-1"
    assert key(("x-id", "d-1"), id={"header": "X-Id"}) == "d-1"
    assert key(id="nowhere") == key(id="other.nowhere")
    dated = {"at": {"field": "at", "format": "epoch_s"}}
    assert key(fresh="a", **dated) == key(fresh="b", **dated), "an equal event with a time is the same"
    assert key(fresh="a", event=1, **dated) != key(fresh="a", event=2, **dated)
    assert key(fresh="a") != key(fresh="b"), "without one it may have happened again"


def test_an_id_in_a_header_is_of_all_events_that_came_together() -> None:
    found = told([{"data": {"id": 1}}, {"data": {"id": 2}}], ("x-id", "d-1"), id={"header": "X-Id"})
    assert [hint.event_key for hint in found.hints] == ["d-1#0", "d-1#1"]


@pytest.mark.parametrize("given", ["x" * 201, "a\0b", "line\nbreak", "\u202e"])
def test_an_id_that_is_long_or_can_not_be_shown_is_digested(given: str) -> None:
    (hint,) = told({"id": given, "data": {"id": 1}}, id="id").hints
    assert hint.event_key.startswith("sha256:")


@pytest.mark.parametrize(
    ("written", "form", "read"),
    [
        ("2026-03-01T12:00:00Z", "iso8601", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00+02:00", "iso8601", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (1772366400, "epoch_s", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("1772366400000", "epoch_ms", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        *(
            (wrong, "iso8601", None)
            for wrong in (None, "", "yesterday", 1772366400, [], {}, True, "2026-13-01T00:00:00Z")
        ),
    ],
)
def test_when_it_happened_is_read_and_nonsense_says_nothing(
    written: Any, form: str, read: datetime | None
) -> None:
    found = told({"when": written, "data": {"id": 1}}, at={"field": "when", "format": form})
    assert [hint.said_at for hint in found.hints] == [read]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b"\xff\xfe{}", b'\xef\xbb\xbf{"data": {"id": 1}}', b'{"data": {"id": NaN}}',
        b'{"data": {"id": "\\ud800"}}', b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"\x1f\x8b\x08\x00compressed", b'{"data": {"id": 1}}{"data": {"id": 2}}', b'{"data": {"id": 1e999}}',
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match="no JSON"):
        told(body)


def test_of_a_name_that_comes_twice_the_last_counts_in_all_that_is_read() -> None:
    body = b'{"row": {"id": "P-1", "rev": "1"}, "row": {"id": "P-2", "rev": "1"}}'
    (hint,) = told(body, events=[{"stream": "parts", "record": "row"}]).hints
    assert (hint.key, hint.record) == ("P-2", b'{"id": "P-2", "rev": "1"}')


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"1"] * (MOST_HINTS + 1)) + b"]",
        json.dumps({"ids": list(range(MOST_HINTS + 1))}).encode(),
        json.dumps([{"ids": list(range(4000))}, {"ids": list(range(4000))}]).encode(),
    ],
    ids=["events", "keys of one event", "keys together"],
)
def test_too_much_to_look_at_is_a_word_about_each_stream(body: bytes) -> None:
    rules = [{"stream": "parts", "key": "ids.*"}, {"stream": "orders", "key": "ids.*"}]
    found = told(body, ("x-id", "d-1"), id={"header": "X-Id"}, events=rules)
    assert {(hint.stream, hint.kind, hint.key) for hint in found.hints} == {
        ("parts", "stream", None),
        ("orders", "stream", None),
    }
    assert len({hint.event_key for hint in found.hints}) == len(found.hints)
