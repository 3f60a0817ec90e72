"""Is what a sweep didn't see gone? Counts alone decide what a sweep is worth, and when a person is asked."""

from dataclasses import replace

import pytest

from worker.engine.deletes.judge import (
    Judged,
    Past,
    Weighed,
    allowance,
    judge,
    may_pass,
    share_of,
    trips,
    wants_another,
)

SWEEP = Weighed(whole=True, unreadable=0, total=None, seen=1000, held=1000, missing=0)
FIRST = Past()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"whole": False}, "sweep_lost"),
        ({"unreadable": 1}, "sweep_unreadable"),
        ({"total": 1006}, "sweep_short"),
    ],
)
def test_a_sweep_is_incomplete(change: dict[str, int], code: str) -> None:
    found = judge(replace(SWEEP, missing=1, **change), FIRST)  # type: ignore[arg-type]
    assert (found.verdict, found.code) == ("incomplete", code)
    assert found.words


@pytest.mark.parametrize("total", [None, 900, 1000, 1005])
def test_a_total_may_be_off_by_what_comes_and_goes_meanwhile(total: int | None) -> None:
    assert judge(replace(SWEEP, total=total, missing=1), FIRST).verdict == "complete"


def test_of_a_small_stream_two_may_come_meanwhile() -> None:
    small = replace(SWEEP, seen=10, held=10)
    assert judge(replace(small, total=12), FIRST).verdict == "complete"
    assert judge(replace(small, total=13), FIRST).verdict == "incomplete"


@pytest.mark.parametrize(("seen", "verdict"), [(500, "complete"), (499, "doubtful"), (0, "doubtful")])
def test_a_count_far_below_the_copy_is_doubted(seen: int, verdict: str) -> None:
    assert judge(replace(SWEEP, seen=seen, missing=1000 - seen), FIRST).verdict == verdict


def test_a_count_far_below_the_last_complete_sweep_is_doubted() -> None:
    found = judge(replace(SWEEP, seen=400, held=450, missing=50), Past(complete=1000))
    assert (found.verdict, found.code) == ("doubtful", "sweep_far_below")


def test_an_empty_list_where_the_copy_is_empty_is_complete() -> None:
    assert judge(replace(SWEEP, seen=0, held=0), FIRST).verdict == "complete"


@pytest.mark.parametrize(("before", "believed"), [(400, True), (402, True), (403, False), (None, False)])
def test_a_doubted_count_is_believed_when_it_comes_twice_but_never_without_asking(
    before: int | None, believed: bool
) -> None:
    found = judge(replace(SWEEP, seen=400, missing=600), Past(verdict="doubtful", seen=before))
    assert (found.verdict == "complete", found.ask) == (believed, believed)


def test_the_fuse_lets_a_share_pass_or_a_few() -> None:
    assert (may_pass(100, 0.05), may_pass(1000, 0.05), may_pass(1000, 0.0)) == (20, 50, 0)
    assert not trips(50, FIRST, held=1000, share=0.05, ask=False)
    assert trips(51, FIRST, held=1000, share=0.05, ask=False)


def test_what_was_deleted_in_the_last_day_counts() -> None:
    assert trips(31, Past(deleted=20), held=1000, share=0.05, ask=False)
    assert not trips(30, Past(deleted=20), held=1000, share=0.05, ask=False)


def test_what_has_to_be_shown_is_shown_however_few_they_are_and_nobody_is_no_question() -> None:
    assert trips(1, FIRST, held=1000, share=1.0, ask=True)
    assert not trips(0, FIRST, held=1000, share=0.0, ask=True)


@pytest.mark.parametrize(
    ("options", "share"), [({}, 0.05), ({"delete_limit": 0.2}, 0.2), ({"delete_limit": 0}, 0.0)]
)
def test_the_share_is_the_files_or_five_percent(options: dict[str, float], share: float) -> None:
    assert share_of(options) == share


@pytest.mark.parametrize(
    ("verdict", "unconfirmed", "again", "wanted"),
    [
        ("complete", 0, False, False),
        ("complete", 1, False, True),
        ("complete", 1, True, False),
        ("doubtful", 0, False, True),
        ("doubtful", 0, True, False),
        ("incomplete", 0, False, True),
    ],
)
def test_a_second_look_is_wanted_soon_and_never_a_third(
    verdict: str, unconfirmed: int, again: bool, wanted: bool
) -> None:
    judged = Judged(verdict)  # type: ignore[arg-type]
    assert wants_another(judged, Past(again=again), unconfirmed=unconfirmed) is wanted


def test_a_tenth_of_a_sweeps_pages_may_be_spent_on_questions() -> None:
    assert [allowance(pages) for pages in (1, 500, 10_000)] == [20, 50, 200]
