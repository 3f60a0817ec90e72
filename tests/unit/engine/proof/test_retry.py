"""Reading again what was set aside."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from worker.connectors.contract import Gone, Page, Record, Rejected
from worker.connectors.registry import Registry
from worker.engine.keep.fields import Rules
from worker.engine.keep.privacy import FieldScreen
from worker.engine.proof.retry import Tried, pages_of, screen_again, try_again, verdict
from worker.runs.states import State

SEEN = datetime(2026, 11, 1, tzinfo=UTC)
HASH = UUID(int=7)


def tried(page: Page, at: datetime = SEEN) -> Tried:
    return Tried(HASH, at, page)


@pytest.mark.parametrize(
    ("raw", "fails"),
    [
        (b'{"id": "7", "updated_at": "2026-11-01T08:00:00Z"}', False),
        (b'{"updated_at": 1}', True),
        (b"{", True),
    ],
)
def test_bytes_that_were_kept_are_read_as_answers_are_read_now(raw: bytes, fails: bool) -> None:
    stream = Registry.load().get("demo").bind({"base_url": "http://127.0.0.1:9"}).stream("parts")
    row: Any = {"content_hash": HASH, "last_seen_at": SEEN, "raw": raw}
    assert try_again(stream, lambda page: page, row).fails is fails


def test_what_can_be_taken_is_loaded_as_seen_when_it_was() -> None:
    later = SEEN + timedelta(hours=1)
    pages = pages_of(
        [
            tried(Page([Record("2", b"{}", b"")]), later),
            tried(Page([Record("1", b"{}", b"")])),
            tried(Page([], gone=[Gone("3", "delta")]), later),
            tried(Page([])),
        ]
    )
    assert [(seen.at, [record.key for record in seen.page.records]) for seen in pages] == [
        (SEEN, ["1"]),
        (later, ["2"]),
    ]
    assert [gone.key for gone in pages[1].page.gone] == ["3"]


def test_what_was_erased_meanwhile_leaves_nothing_to_load() -> None:
    assert pages_of([tried(Page([]))]) == []
    assert not tried(Page([])).fails
    assert tried(Page([], [Rejected(b"", "bad_key", "no")])).fails


def test_a_run_that_leaves_some_aside_is_partial_and_says_so() -> None:
    assert verdict(3, 0) == (State.SUCCEEDED, None)
    state, words = verdict(1, 2)
    assert state is State.PARTIAL
    assert words is not None
    assert words.words == "1 of 3 records could be taken now; 2 stay set aside."


def test_what_is_hashed_already_is_not_hashed_twice_and_what_is_not_is() -> None:
    screen = FieldScreen(Rules.of(hashed=[["name"]]), lambda _: "hmac:" + "0" * 32, lambda _: b"")
    again = screen_again(screen)
    hashed = b'{"name": "hmac:' + b"a" * 32 + b'"}'
    assert again(Page([Record("1", hashed, b"")])).records[0].raw == hashed
    plain = again(Page([Record("1", b'{"name": "Dora"}', b"")])).records[0].raw
    assert b"Dora" not in plain
