"""The table of states says what the ledger may do."""

import re
from pathlib import Path

import pytest

from worker.runs.states import (
    FINAL,
    OPEN,
    TRANSITIONS,
    Lane,
    Move,
    State,
    queue_for,
    queues_of,
)

MIGRATION = Path("worker/db/migrations/versions/0001_initial.sql")
CONCEPTS = Path("docs/concepts.md")


def test_a_final_state_has_no_way_out() -> None:
    assert not {state for state, _ in TRANSITIONS} & FINAL


def test_every_state_can_be_reached_and_every_move_is_used() -> None:
    assert set(TRANSITIONS.values()) | {State.QUEUED} == set(State)
    assert {move for _, move in TRANSITIONS} == set(Move)


def test_the_database_allows_exactly_these_states() -> None:
    text = MIGRATION.read_text()
    states = [set(re.findall(r"'(\w+)'", found)) for found in re.findall(r"state IN \(([^)]*)\)", text)]
    assert states == [set(OPEN), set(FINAL)]


def test_the_picture_in_the_docs_shows_every_transition() -> None:
    arrows = set(re.findall(r"^\s*(\w+) --> (\w+): (\w+)", CONCEPTS.read_text(), re.MULTILINE))
    assert arrows == {(str(a), str(b), str(move)) for (a, move), b in TRANSITIONS.items()}


@pytest.mark.parametrize(
    ("lane", "track", "queue"),
    [
        (Lane.WEBHOOK, "live", "sync.demo.live"),
        (Lane.ON_DEMAND, "live", "sync.demo.live"),
        (Lane.SCHEDULED, "live", "sync.demo"),
        (Lane.BACKFILL, "live", "sync.demo.bulk"),
        (Lane.ON_DEMAND, "history", "sync.demo.bulk"),
        (Lane.SCHEDULED, "sweep", "sync.demo.bulk"),
    ],
)
def test_long_work_never_shares_a_queue_with_what_somebody_waits_for(
    lane: Lane, track: str, queue: str
) -> None:
    assert queue_for("demo", lane, track) == queue
    assert queue in queues_of("demo")
