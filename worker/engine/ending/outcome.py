"""What does the end of a run mean? Pure: what was read, what was set aside and what the stream is used to decide.

A run whose every page was committed is no success yet. Records that were set aside make it `partial`, and the words say
which and why. Nothing, where there has always been something, is `suspicious_empty`: a filter that broke, a user who may
see less than yesterday, an error dressed as an empty list. Then nothing is deleted and no cursor moves. It is said once:
a stream that stays empty is taken at its word from the next run on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from worker.runs.claim import Run
from worker.runs.finish import Failure
from worker.runs.states import State

ALWAYS = 20
"""Runs in a row that read something make a stream one that always has something."""
MOST_PAGES = 5


@dataclass(frozen=True, slots=True)
class Aside:
    """Records of one run that were set aside for one reason."""

    code: str
    records: int
    pages: Sequence[int]

    @classmethod
    def of(cls, row: Any) -> "Aside":
        return cls(row["code"], row["records"], row["pages"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run ended, and what a person should know of an outcome that isn't plain success."""

    state: State
    words: Failure | None = None


SUCCEEDED = Verdict(State.SUCCEEDED)


def judge(
    run: Run,
    *,
    read: int,
    rejected: int,
    whole: bool,
    unchanged: bool = False,
    copy_has_records: Callable[[], bool],
    set_aside: Callable[[], Sequence[Aside]],
) -> Verdict:
    """`whole`: the run asked for the stream's every record, and not for what changed. `unchanged`: the system says in so many
    words that nothing has. What is callable is asked only where it matters.
    """
    if rejected:
        return Verdict(State.PARTIAL, Failure("records_set_aside", _set_aside(run, rejected, set_aside())))
    if read or unchanged or run.pages or run.track != "live" or run.scope:
        return SUCCEEDED
    if whole and run.runs_with_records and copy_has_records():
        return _suspicious(run, "The system says that there is no record at all, and the copy holds some.")
    if not whole and run.runs_with_records >= ALWAYS:
        runs = f"{run.runs_with_records:,} runs"
        return _suspicious(run, f"Nothing came, and each of the {runs} before this one read something.")
    return SUCCEEDED


def _suspicious(run: Run, what: str) -> Verdict:
    words = (
        f"{what} Nothing was deleted, and the cursor stays where it was. Has a filter or a permission changed at the "
        f"system? `headrace verify {run.connection} {run.stream}` compares."
    )
    return Verdict(State.SUSPICIOUS_EMPTY, Failure("suspicious_empty", words))


def _set_aside(run: Run, rejected: int, found: Sequence[Aside]) -> str:
    records = "1 record was" if rejected == 1 else f"{rejected:,} records were"
    reasons = ", ".join(f"{aside.code} ×{aside.records}" for aside in found)  # noqa: RUF001 - a times sign
    why = f": {reasons}" if reasons else ""
    pages = sorted({page for aside in found for page in aside.pages})
    shown = ", ".join(map(str, pages[:MOST_PAGES])) + (", …" if len(pages) > MOST_PAGES else "")
    where = f" (page{'s' if len(pages) > 1 else ''} {shown})" if pages else ""
    return (
        f"{records} set aside{why}{where}. `headrace quarantine {run.connection} {run.stream}` shows "
        f"{'it' if rejected == 1 else 'them'}."
    )
