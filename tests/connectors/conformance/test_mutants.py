"""Would the suite notice? Connectors that are broken on purpose, each in one way, and the check that says so."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from connectors.conformance.mutants import (
    Exclusive,
    ForgetsWhatItAsked,
    GivesUpOnABadRecord,
    IgnoresTombstones,
    KeepsEveryPage,
    KeepsItsPlace,
    LooksBehindTheEnd,
    SkipsARecord,
    StopsEarly,
    TellsTheCursor,
    TrustsNoBound,
    asks_twice,
    changed,
    spoilt_streams,
)
from connectors.doubles.plain import MANIFEST, Plain
from connectors.doubles.tryton import Tryton

from scheduler.connectors.check.bench import Subject
from scheduler.connectors.check.outcome import Outcome
from scheduler.connectors.check.suite import checks_named, try_out
from worker.connectors.auth.values import with_header
from worker.connectors.manifest.model import load_manifest, manifest_in
from worker.connectors.protocols.tryton_session import TrytonSession
from worker.connectors.registry.places import CATALOG
from worker.parsing.documents import read_document

pytestmark = pytest.mark.integration


def plain(**changes: Any) -> Subject:
    """The plain system, its manifest changed at these paths (`__` for a dot)."""
    data = read_document(MANIFEST.encode(), "manifest.yaml").data
    for path, value in changes.items():
        data = changed(data, path.replace("__", "."), value)
    return Subject(manifest_in(read_document(json.dumps(data).encode(), "manifest.json")), Plain)


def tried(check: str, stream: str, subject: Subject) -> Outcome:
    (found,) = checks_named([check])
    return try_out(found, subject, stream)


SPOILT_STREAMS: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("ties", "by_key", Exclusive),
    ("increment", "by_header", Exclusive),
    ("first_load", "by_offset", SkipsARecord),
    ("first_load", "by_cursor", StopsEarly),
    ("resume", "by_cursor", KeepsItsPlace),
    ("deletes", "by_page", IgnoresTombstones),
    ("slices", "by_offset", TrustsNoBound),
    ("drift", "by_cursor", GivesUpOnABadRecord),
    ("memory", "by_cursor", KeepsEveryPage),
    ("secrets", "by_cursor", TellsTheCursor),
    ("single", "by_cursor", ForgetsWhatItAsked),
    ("requests", "by_link", LooksBehindTheEnd),
]


@pytest.mark.parametrize(
    ("check", "stream", "spoils"), SPOILT_STREAMS, ids=[f"{c}-{s.__name__}" for c, _, s in SPOILT_STREAMS]
)
def test_a_stream_that_is_spoilt_is_caught(check: str, stream: str, spoils: Callable[[Any], Any]) -> None:
    found = tried(check, stream, spoilt_streams(plain(), spoils))
    assert found.mark == "failed", found
    assert found.expected
    assert found.came


CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("precision", "by_link", {"streams__by_link__incremental__zone": "Europe/Berlin"}),
    ("zones", "by_key", {"streams__by_key__incremental__zone": "UTC"}),
    ("precision", "by_cursor", {"streams__by_cursor__incremental__format": "epoch_s"}),
    ("first_load", "by_page", {"streams__by_page__paging__page__first": 2}),
    ("first_load", "by_offset", {"streams__by_offset__key": "name"}),
    ("moving", "by_offset", {"streams__by_offset__paging__offset__stable": True}),
    ("deletes", "by_offset", {"streams__by_offset__deleted": {"field": "deleted_at", "equals": "yes"}}),
    ("errors", "whole", {"errors": {"words": "error.words"}}),
    ("errors", "whole", {"errors__rules": [{"path": "error.code", "equals": 1100, "kind": "rate_limited"}]}),
    ("order", "by_key", {"streams__by_key__incremental__ordered": True}),
    ("increment", "by_offset", {"streams__by_offset__incremental__param": "sinse"}),
    ("requests", "by_offset", {"streams__by_offset__paging__offset__until_empty": True, "streams__by_offset__total": None}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "stream", "changes"), CHANGES, ids=[f"{c}-{s}-{n}" for n, (c, s, _) in enumerate(CHANGES)]
)
def test_a_manifest_that_is_wrong_in_one_place_is_caught(
    check: str, stream: str, changes: dict[str, Any]
) -> None:
    found = tried(check, stream, plain(**changes))
    assert found.mark == "failed", found
    assert found.expected
    assert found.came


class Silent(Plain):
    """Its documentation doesn't say that a short page is the last."""

    short_is_last = False


def test_looking_for_an_empty_page_is_planned_where_nothing_else_says_that_it_is_the_last() -> None:
    until_empty = plain(
        streams__by_offset__paging__offset__until_empty=True, streams__by_offset__total=None
    ).manifest
    assert tried("requests", "by_offset", Subject(until_empty, Silent)).mark == "passed"


def test_a_request_that_is_sent_twice_is_caught() -> None:
    assert tried("requests", "by_cursor", asks_twice(plain())).mark == "failed"


def test_a_session_that_is_never_renewed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def flow(self: TrytonSession, request: Any, secrets: Any, held: Any) -> Any:
        session = held.get("session") or (yield from self._log_in(secrets, held))
        yield with_header(request, "Authorization", f"Session {session}")

    subject = Subject(load_manifest(CATALOG / "tryton" / "manifest.yaml"), Tryton)
    monkeypatch.setattr(TrytonSession, "flow", flow)
    assert tried("login", "parties", subject).mark == "failed"


def test_what_is_told_of_a_broken_promise_holds_no_secret() -> None:
    found = tried("secrets", "by_cursor", spoilt_streams(plain(), TellsTheCursor))
    assert Plain.secrets["token"] not in str(found)
