"""What the end of a run means."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from worker.engine.ending.outcome import ALWAYS, Aside, Verdict, judge
from worker.runs.claim import Run, Stored
from worker.runs.states import State

ID = UUID("0199d2c4-77aa-7c1a-8000-000000000001")


def a_run(**more: Any) -> Run:
    facts: dict[str, Any] = {
        "id": ID, "claim_no": 1, "stream_id": 1, "connection_id": 1, "account": "demo:1", "track": "live", "scope": {},
        "lane": 3, "cause": "schedule", "attempt": 0, "request_id": "r", "steps": None, "pages": 0,
        "records_rejected": 0, "alone": False, "waited": 0.0, "stream": "parts", "bucket": 1, "history_days": None,
        "history_done_at": None, "connection": "plant", "system": "demo", "settings": {}, "secrets": {},
        "cursor": Stored(), "options": {}, "look_back": None, "erased": False, "runs_with_records": 0,
        "clock_skew": 0.0, "claimed_at": datetime(2026, 11, 26, tzinfo=UTC),
    }  # fmt: skip
    return Run(**(facts | more))


def end(
    run: Run,
    *,
    read: int = 0,
    rejected: int = 0,
    whole: bool = False,
    unchanged: bool = False,
    holds: bool = True,
    aside: Sequence[Aside] = (),
) -> Verdict:
    return judge(
        run,
        read=read,
        rejected=rejected,
        whole=whole,
        unchanged=unchanged,
        copy_has_records=lambda: holds,
        set_aside=lambda: aside,
    )


def test_a_run_that_read_something_and_set_nothing_aside_succeeded() -> None:
    assert end(a_run(), read=3) == Verdict(State.SUCCEEDED)


def test_partial_says_which_records_were_set_aside_why_and_what_shows_them() -> None:
    found = end(
        a_run(), read=9, rejected=3, aside=[Aside("bad_cursor", 2, [1, 4]), Aside("not_json", 1, [4])]
    )
    assert found.state is State.PARTIAL
    assert found.words is not None
    assert found.words.code == "records_set_aside"
    assert found.words.words == (
        "3 records were set aside: bad_cursor ×2, not_json ×1 (pages 1, 4). "  # noqa: RUF001
        "`headrace quarantine plant parts` shows them."
    )


def test_one_record_that_was_set_aside_is_spoken_of_as_one() -> None:
    found = end(a_run(), read=9, rejected=1, aside=[Aside("bad_key", 1, [7])])
    assert found.words is not None
    assert found.words.words.startswith("1 record was set aside: bad_key ×1 (page 7). ")  # noqa: RUF001
    assert found.words.words.endswith("shows it.")


def test_where_the_system_says_that_nothing_is_new_nothing_is_suspicious() -> None:
    busy = a_run(runs_with_records=ALWAYS)
    assert end(busy).state is State.SUSPICIOUS_EMPTY
    assert end(busy, unchanged=True) == Verdict(State.SUCCEEDED)


def test_many_pages_are_not_all_named() -> None:
    found = end(a_run(), rejected=9, aside=[Aside("bad_key", 9, range(1, 10))])
    assert found.words is not None
    assert "(pages 1, 2, 3, 4, 5, …)" in found.words.words


def test_a_stream_that_is_empty_while_the_copy_holds_records_is_suspicious() -> None:
    found = end(a_run(runs_with_records=1), whole=True)
    assert found.state is State.SUSPICIOUS_EMPTY
    assert found.words is not None
    assert "Nothing was deleted, and the cursor stays where it was." in found.words.words


def test_a_stream_that_never_held_anything_may_be_empty() -> None:
    assert end(a_run(runs_with_records=1), whole=True, holds=False) == Verdict(State.SUCCEEDED)


def test_an_increment_without_anything_is_suspicious_where_there_has_always_been_something() -> None:
    found = end(a_run(runs_with_records=ALWAYS))
    assert found.state is State.SUSPICIOUS_EMPTY
    assert found.words is not None
    assert "each of the 20 runs before this one read something" in found.words.words


def test_an_increment_without_anything_is_nothing_special_where_that_has_happened_before() -> None:
    assert end(a_run(runs_with_records=ALWAYS - 1)) == Verdict(State.SUCCEEDED)


@pytest.mark.parametrize("whole", [True, False])
def test_suspicion_is_said_once_since_the_run_that_said_it_ended_the_row(whole: bool) -> None:
    assert end(a_run(runs_with_records=0), whole=whole) == Verdict(State.SUCCEEDED)


@pytest.mark.parametrize("more", [{"track": "history"}, {"pages": 2}, {"scope": {"ids": ["7"]}}])
def test_other_tracks_what_was_read_before_and_what_was_asked_for_in_part_are_not_suspected(
    more: Any,
) -> None:
    assert end(a_run(runs_with_records=ALWAYS, **more)) == Verdict(State.SUCCEEDED)
