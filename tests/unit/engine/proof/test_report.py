"""What a comparison may say of itself."""

from datetime import UTC, datetime
from random import Random

import pytest

from worker.engine.proof.compare import Difference, Kind
from worker.engine.proof.report import Confirmed, Findings, example, report
from worker.engine.proof.sample import beginnings, first_looks, fits, gap, share

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def findings(*kinds: Kind, complete: bool = True, checked: int = 10) -> Findings:
    found = Findings(complete=complete, checked={str(number) for number in range(checked)})
    for number, kind in enumerate(kinds):
        found.confirmed[str(number)] = Confirmed(Difference(kind, str(number)), None, NOW)
    return found


def test_proven_is_said_after_a_complete_comparison_that_found_nothing() -> None:
    said = report(findings(), copy_records=10)
    assert said.proven
    assert said.words == "Proven: 10 records, every key and hash is the same."


def test_a_sample_is_never_a_proof() -> None:
    said = report(findings(complete=False), copy_records=1000)
    assert not said.proven
    assert said.words == "Checked (10 of 1,000): no difference."


def test_a_difference_is_never_a_proof_and_each_kind_is_counted() -> None:
    said = report(findings("missing", "missing", "extra", "different"), copy_records=10)
    assert (said.proven, said.drift) == (False, 4)
    assert said.words == "Checked (10 of 10): 2 missing, 1 extra, 1 different."


def test_what_waits_or_cannot_be_read_is_not_proven() -> None:
    found = findings()
    found.waiting["7"] = "aa"
    assert not report(found, copy_records=10).proven
    found = findings()
    found.aside = 1
    said = report(found, copy_records=10)
    assert not said.proven
    assert "1 can't be taken: `headrace quarantine` shows them." in said.words


def test_what_is_pending_is_said_and_no_drift() -> None:
    found = findings()
    found.pending.add("7")
    said = report(found, copy_records=10)
    assert (said.proven, said.drift, said.pending) == (True, 0, 1)
    assert said.words.endswith("1 differs, and the next sync is to bring it.")


def test_a_repair_and_what_it_left_alone_are_said() -> None:
    said = report(findings("missing", "extra"), copy_records=10, repaired=1, sweep_asked=True)
    assert "1 repaired." in said.words
    assert "a sweep was asked for" in said.words


def test_an_example_holds_a_key_and_names() -> None:
    each = Confirmed(Difference("different", "7"), None, NOW)
    assert example(each, ["name"]) == {"kind": "different", "key": "7", "fields": ["name"]}
    assert example(each, []) == {"kind": "different", "key": "7"}


@pytest.mark.parametrize("allowance", [1, 2, 3, 8, 50, 1000])
def test_some_of_the_allowance_is_kept_for_second_looks(allowance: int) -> None:
    assert 1 <= first_looks(allowance) <= allowance
    assert allowance == 1 or first_looks(allowance) < allowance


def test_a_stream_is_read_whole_only_where_what_differs_can_be_looked_at_again() -> None:
    assert fits(25, 50, singles=False)
    assert not fits(26, 50, singles=False)
    assert fits(38, 50, singles=True)
    assert not fits(39, 50, singles=True)
    assert fits(1, 1, singles=False)


def test_requests_are_shared_by_the_ways_that_a_stream_knows() -> None:
    both = share(9, slices=True, singles=True)
    assert (both.slices, both.singles) == (5, 4)
    assert share(9, slices=True, singles=False).singles == 0
    assert share(9, slices=False, singles=True).slices == 0
    assert share(9, slices=False, singles=False).slices == share(9, slices=False, singles=False).singles == 0


def test_slices_begin_at_copied_records_and_anywhere_between_so_that_holes_are_met() -> None:
    times = [NOW.replace(hour=hour) for hour in (0, 1, 22, 23)]
    found = beginnings(times, 40, None, Random(7))
    assert set(times) & set(found)
    assert [at for at in found if times[1] < at < times[2]]
    assert all(times[0] <= at <= times[-1] for at in found)
    assert beginnings(times, 40, None, Random(7)) == found


def test_no_slice_begins_where_nothing_is_due_yet() -> None:
    times = [NOW.replace(hour=hour) for hour in (0, 1, 22, 23)]
    assert max(beginnings(times, 40, NOW.replace(hour=2), Random(7))) <= NOW.replace(hour=1)
    assert beginnings([], 3, None, Random(7)) == []


@pytest.mark.parametrize(
    ("total", "live", "tombstones", "found"),
    [
        (10_000, 9_000, 0, 1_000),
        (10_000, 9_000, 1_000, 0),  # the system may count what it deleted
        (10_000, 9_950, 0, 0),  # a living source
        (9_000, 10_000, 500, -1_000),
        (30, 5, 0, 25),
        (30, 12, 0, 0),
    ],
)
def test_counts_that_differ_by_far_tell_of_a_gap(total: int, live: int, tombstones: int, found: int) -> None:
    assert gap(total, live, tombstones) == found


@pytest.mark.parametrize(("many", "kind"), [(500, "missing"), (-500, "extra")])
def test_a_gap_by_count_alone_is_drift_and_said(many: int, kind: str) -> None:
    found = findings(complete=False)
    found.gap = many
    said = report(found, copy_records=9_500)
    assert (said.counts[kind], said.drift) == (500, 500)
    assert f"By count, at least 500 are {kind}." in said.words
