"""Waiting for runs: which ones, and until when?"""

from typing import Any
from uuid import UUID

from scheduler.cli.watch import Pending, describe
from scheduler.runs.lists import sql

A, B, HISTORY = UUID(int=1), UUID(int=2), UUID(int=3)


class _Ledger:
    """Answers the two questions that `Pending` asks, one pair of answers a look."""

    def __init__(self) -> None:
        self.open: list[dict[str, Any]] = []
        self.past: list[dict[str, Any]] = []

    def all(self, statement: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        if statement == sql.watched_runs:
            return [row for row in self.open if row["id"] in params["runs"] or row["track"] == "history"]
        assert statement == sql.ended_runs
        return [row for row in self.past if row["id"] in params["runs"]]


def running(run: UUID, track: str = "live") -> dict[str, Any]:
    return {"id": run, "stream": "s", "track": track, "state": "running", "records_read": 1}


def ended(run: UUID, state: str = "succeeded", into: UUID | None = None) -> dict[str, Any]:
    return {"id": run, "stream": "s", "track": "live", "state": state, "merged_into": into, "records_read": 1}


def look(pending: Pending, ledger: _Ledger) -> None:
    pending.look(ledger)  # type: ignore[arg-type]


def test_it_is_done_only_after_one_look_more() -> None:
    ledger, pending = _Ledger(), Pending({A}, [1])
    ledger.open = [running(A)]
    look(pending, ledger)
    assert not pending.done
    ledger.open, ledger.past = [], [ended(A)]
    look(pending, ledger)
    assert not pending.done
    look(pending, ledger)
    assert pending.done
    assert list(pending.ended) == [A]


def test_the_history_of_a_first_sync_is_waited_for() -> None:
    ledger, pending = _Ledger(), Pending({A}, [1])
    ledger.past = [ended(A)]
    look(pending, ledger)
    ledger.open = [running(HISTORY, "history")]
    look(pending, ledger)
    assert not pending.done
    ledger.open, ledger.past = [], [ended(A), ended(HISTORY, "failed")]
    look(pending, ledger)
    look(pending, ledger)
    assert pending.done
    assert set(pending.ended) == {A, HISTORY}


def test_a_merged_run_is_followed() -> None:
    ledger, pending = _Ledger(), Pending({A}, [1])
    ledger.past = [ended(A, "merged", into=B)]
    ledger.open = [running(B)]
    look(pending, ledger)
    look(pending, ledger)
    assert not pending.done
    ledger.open, ledger.past = [], [*ledger.past, ended(B)]
    look(pending, ledger)
    look(pending, ledger)
    assert pending.done
    assert list(pending.ended) == [B]


def test_a_run_between_two_tables_is_not_given_up_at_once() -> None:
    ledger, pending = _Ledger(), Pending({A}, [1])
    look(pending, ledger)
    assert not pending.ended
    ledger.past = [ended(A)]
    look(pending, ledger)
    assert pending.ended[A]["state"] == "succeeded"


def test_a_run_whose_connection_was_deleted_ends_the_waiting() -> None:
    ledger, pending = _Ledger(), Pending({A}, [1])
    for _ in range(4):
        look(pending, ledger)
    assert pending.done
    assert pending.ended[A]["error_code"] == "connection_gone"


def test_words_for_a_run() -> None:
    assert describe({"state": "queued", "wait_reason": "limit"}) == "queued (limit)"
    assert describe({"state": "running", "records_read": 1200}) == "running, 1,200 records"
    assert (
        describe({"state": "failed", "records_read": 0, "error": "No\x1b[2J."}) == "failed, 0 records: No[2J."
    )
