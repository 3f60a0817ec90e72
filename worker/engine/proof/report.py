"""What did a comparison with the source find? In numbers and in words. Pure.

`proven` is said only after a complete comparison of keys and hashes that found nothing; all else is `checked (n of N)`.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from worker.connectors.contract import Gone, Record
from worker.engine.proof.compare import Difference, Kind

MOST_EXAMPLES = 20
MOST_FIELDS = 10
MOST_WAITING = 1000
KINDS: tuple[Kind, ...] = ("missing", "extra", "different")


@dataclass(slots=True)
class Confirmed:
    """A difference that counts, and what would mend it."""

    difference: Difference
    record: Record | None
    """What the source showed at the second look."""
    seen_at: datetime
    gone: Gone | None = None
    """Evidence that it is gone."""


@dataclass(slots=True)
class Findings:
    """What has been found so far."""

    methods: list[str] = field(default_factory=list)
    complete: bool = False
    checked: set[str] = field(default_factory=set)
    """Keys whose content was compared."""
    confirmed: dict[str, Confirmed] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    waiting: dict[str, str] = field(default_factory=dict)
    """Differ, and their time isn't known: key to digest."""
    gap: int = 0
    """So many are missing by count alone; extra, if negative."""
    aside: int = 0
    """Came, and can't be read: their content is not compared."""
    source_records: int | None = None
    stopped: str | None = None
    """Why it ended before its allowance did."""

    def used(self, method: str) -> None:
        if method not in self.methods:
            self.methods.append(method)


@dataclass(frozen=True, slots=True)
class Report:
    """As it is kept and shown."""

    counts: dict[str, int]
    pending: int
    checked: int
    copy_records: int
    source_records: int | None
    proven: bool
    repaired: int
    words: str

    @property
    def drift(self) -> int:
        return sum(self.counts.values())


def report(found: Findings, *, copy_records: int, repaired: int = 0, sweep_asked: bool = False) -> Report:
    """The findings as numbers, and a sentence."""
    kinds = Counter(each.difference.kind for each in found.confirmed.values())
    counts: dict[str, int] = {kind: kinds[kind] for kind in KINDS}
    counts["missing"] = max(counts["missing"], found.gap)
    counts["extra"] = max(counts["extra"], -found.gap)
    pending = len(found.pending) + len(found.waiting)
    proven = found.complete and not found.confirmed and not found.waiting and not found.aside
    words = [_verdict(found, counts, copy_records, proven=proven)]
    if found.gap:
        words.append(f"By count, at least {abs(found.gap):,} are {'missing' if found.gap > 0 else 'extra'}.")
    if pending:
        words.append(f"{pending:,} {'differs' if pending == 1 else 'differ'}, and the next sync is to bring "
                     f"{'it' if pending == 1 else 'them'}.")  # fmt: skip
    if found.aside:
        words.append(f"{found.aside:,} can't be taken: `headrace quarantine` shows them.")
    if repaired:
        words.append(f"{repaired:,} repaired.")
    if sweep_asked:
        words.append("For what the source no longer shows, a sweep was asked for: it needs its evidence.")
    if found.stopped:
        words.append(found.stopped)
    return Report(
        counts,
        pending,
        len(found.checked),
        copy_records,
        found.source_records,
        proven,
        repaired,
        " ".join(words),
    )


def _verdict(found: Findings, counts: dict[str, int], copy_records: int, *, proven: bool) -> str:
    if proven:
        return f"Proven: {len(found.checked):,} records, every key and hash is the same."
    of = max(copy_records, found.source_records or 0, len(found.checked))
    said = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    return f"Checked ({len(found.checked):,} of {of:,}): {said or 'no difference'}."


def example(confirmed: Confirmed, fields: list[str]) -> dict[str, Any]:
    """Key and names only."""
    shown: dict[str, Any] = {"kind": confirmed.difference.kind, "key": confirmed.difference.key}
    if fields:
        shown["fields"] = fields[:MOST_FIELDS]
    return shown
