"""How does a person wait for runs? A bar for each on a terminal, a line now and then elsewhere.

Waited for are the runs that were asked for, those into which they merge, and the history that a first sync leaves
behind. It goes to stderr, so that stdout holds the result alone. Leaving by Ctrl-C leaves the runs alone.
"""

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self
from uuid import UUID

from psycopg.rows import DictRow
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from scheduler.cli.output import clean, note
from scheduler.runs.lists import sql
from scheduler.runs.syncs import Wanted
from worker.db.database import Database
from worker.runs.states import State

LOOK_EVERY = 0.4
SAY_AFTER = 10.0
"""Seconds without anybody at work before we say that nobody seems to be."""

_never = threading.Event()


def watch(database: Database, wanted: Sequence[Wanted], *, history: bool = True) -> list[DictRow]:
    """Wait until all has ended, the history of these streams too unless told; how it ended, in the order of ids."""
    pending = Pending({run.id for run in wanted}, [run.stream_id for run in wanted] if history else [])
    shown: _Bars | _Lines = _Bars() if sys.stderr.isatty() else _Lines()
    idle_since, warned = time.monotonic(), False
    with shown:
        while True:
            running = pending.look(database)
            shown.update(running, list(pending.ended.values()))
            if pending.done:
                return sorted(pending.ended.values(), key=lambda row: str(row["id"]))
            if any(row["state"] == State.RUNNING for row in running):
                idle_since = time.monotonic()
            if not warned and time.monotonic() - idle_since > SAY_AFTER:
                warned = True
                _say_idle(database)
            _never.wait(LOOK_EVERY)


class Pending:
    """Which runs are waited for, and what became of them."""

    def __init__(self, runs: set[UUID], streams: list[int]) -> None:
        self.ended: dict[UUID, DictRow] = {}
        self.done = False
        self._watched = runs
        self._streams = streams
        self._settled = False
        self._missed: set[UUID] = set()

    def look(self, database: Database) -> list[DictRow]:
        """The runs that are open now. Ended ones are asked for after the open ones, so none slips through between."""
        running = database.all(
            sql.watched_runs, {"runs": list(self._watched - self.ended.keys()), "streams": self._streams}
        )
        self._watched |= {row["id"] for row in running}
        left = self._watched - self.ended.keys() - {row["id"] for row in running}
        found = database.all(sql.ended_runs, {"runs": list(left)}) if left else []
        self.take(found)
        self._give_up_on(left - {row["id"] for row in found})
        # One look more after the last end: the history run may have been asked for in between.
        settled = not running and not (self._watched - self.ended.keys())
        self.done, self._settled = settled and self._settled, settled
        return running

    def take(self, rows: Sequence[DictRow]) -> None:
        """What ended. A merged run is nobody's result: its successor is watched instead."""
        for row in rows:
            if row["merged_into"] is not None:
                self._watched.discard(row["id"])
                self._watched.add(row["merged_into"])
            else:
                self.ended[row["id"]] = row

    def _give_up_on(self, missing: set[UUID]) -> None:
        """A run that is nowhere, twice: its connection was deleted."""
        for run in missing & self._missed:
            self.ended[run] = _gone(run)
        self._missed = missing


def _gone(run: UUID) -> DictRow:
    counts = dict.fromkeys(("read", "created", "updated", "deleted", "rejected"), 0)
    return {
        "id": run, "stream": None, "track": None, "state": State.CANCELLED, "merged_into": None,
        **{f"records_{name}": count for name, count in counts.items()},
        "error_code": "connection_gone", "error": "Its connection was deleted meanwhile.",
    }  # fmt: skip


def _say_idle(database: Database) -> None:
    from scheduler.health.looks import who_is_alive  # noqa: PLC0415 - brings Celery

    if not any(row["kind"] == "worker" for row in who_is_alive(database)):
        note("No worker was seen in the last minute: start `headrace worker`, or see `headrace doctor`.")


class _Bars(AbstractContextManager["_Bars"]):
    """A bar for each run."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[UUID, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, running: Sequence[DictRow], ended: Sequence[DictRow]) -> None:
        for row in running:
            self._show(row, total=row["records_total"])
        for row in ended:
            self._show(row, total=max(row["records_read"], 1), completed=max(row["records_read"], 1))

    def _show(self, row: Mapping[str, Any], **values: Any) -> None:
        task = self._tasks.get(row["id"])
        if task is None:
            task = self._tasks[row["id"]] = self._progress.add_task(_title(row), total=None, words="")
        self._progress.update(task, words=describe(row), **({"completed": row["records_read"]} | values))


class _Lines(AbstractContextManager["_Lines"]):
    """A line when a run's state changes."""

    def __init__(self) -> None:
        self._said: dict[UUID, str] = {}

    def __exit__(self, *_: object) -> None:
        """Nothing to take down."""

    def update(self, running: Sequence[DictRow], ended: Sequence[DictRow]) -> None:
        for row in (*running, *ended):
            if self._said.get(row["id"]) != row["state"]:
                self._said[row["id"]] = row["state"]
                note(f"{_title(row)}: {describe(row)}")


def describe(row: Mapping[str, Any]) -> str:
    """What a run is up to, in a few words."""
    if row["state"] == State.QUEUED:
        return f"queued ({row['wait_reason']})" if row.get("wait_reason") else "queued"
    read = row["records_read"]
    words = f"{row['state']}, {read:,} record{'' if read == 1 else 's'}"
    return f"{words}: {clean(row['error'])}" if row.get("error") else words


def _title(row: Mapping[str, Any]) -> str:
    return f"{row['stream']} (history)" if row["track"] == "history" else str(row["stream"])
