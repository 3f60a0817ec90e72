"""What of the first differences counts? Those that are there at a second look, and that the copy was due to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from worker.connectors.contract import Gone, Record
from worker.engine.proof.asking import AllowanceSpent
from worker.engine.proof.compare import Verdict, by_key, judge_again, outlived
from worker.engine.proof.looks import Looks, Suspect, single_of
from worker.engine.proof.report import MOST_WAITING, Confirmed
from worker.engine.proof.sample import gap


@dataclass(frozen=True, slots=True)
class Again:
    """What the source showed of a record at the second look; `record` None: nothing."""

    record: Record | None
    at: datetime
    gone: Gone | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """How the comparison before this one left what has no time, and what has happened since."""

    waiting: Mapping[str, str] = field(default_factory=dict)
    synced_since: bool = False
    swept_since: bool = False

    def outlived(self, key: str, again: Again) -> bool:
        record = again.record
        if record is None:
            return outlived(key, b"", self.waiting, synced_since=self.swept_since)
        return outlived(key, record.digest, self.waiting, synced_since=self.synced_since)


def second_looks(looks: Looks, before: Before) -> None:
    """Look again at what differs, and sort it: what counts, what is pending, what waits for another sync."""
    looks.asker.bound = looks.asker.allowance
    _count_again(looks)
    again = _look_again(looks)
    held = looks.copy.held(list(looks.suspects))
    for key, suspect in looks.suspects.items():
        if key not in again:  # nobody looked twice
            looks.found.pending.add(key)
            looks.found.complete = False
            continue
        seen = again[key]
        verdict: Verdict = judge_again(suspect.difference, seen.record, held.get(key), looks.due)
        if verdict == "waiting" and before.outlived(key, seen):
            verdict = "counts"
        _sort(looks, suspect, seen, verdict)


def _count_again(looks: Looks) -> None:
    """What the system says there is, twice, against what the copy holds: only what stays is a gap."""
    if looks.total is None or not gap(looks.total, *looks.copy.counts()):
        return
    try:
        page, _ = looks.asker.page(looks.everything, None)
    except AllowanceSpent:
        return
    if page.total is None:
        return
    gaps = [gap(total, *looks.copy.counts()) for total in (looks.total, page.total)]
    if min(gaps) > 0 or max(gaps) < 0:
        looks.found.gap = min(gaps, key=abs)
        looks.found.used("count")


def _sort(looks: Looks, suspect: Suspect, seen: Again, verdict: Verdict) -> None:
    key = suspect.difference.key
    if verdict == "counts":
        looks.found.confirmed[key] = Confirmed(suspect.difference, seen.record, seen.at, seen.gone)
    elif verdict == "pending" or len(looks.found.waiting) >= MOST_WAITING:
        if verdict != "equal":
            looks.found.pending.add(key)
    elif verdict == "waiting":
        looks.found.waiting[key] = "" if seen.record is None else seen.record.digest.hex()


def _look_again(looks: Looks) -> dict[str, Again]:
    """Each once more: alone where that is cheaper, else with its page, or with the whole stream."""
    again: dict[str, Again] = {}
    keys = list(looks.suspects)
    singly = [key for key in keys if single_of(looks.asker.stream, key) is not None]
    try:
        if (
            looks.pages
            and (len(singly) < len(keys) or len(keys) > looks.asker.left)
            and (looks.pages <= looks.asker.left)
        ):
            _whole_again(looks, again)
        else:
            _slices_again(looks, again)
            for key in singly:
                if key not in again and (seen := _single_again(looks, key)) is not None:
                    again[key] = seen
    except AllowanceSpent:
        pass
    return again


def _whole_again(looks: Looks, again: dict[str, Again]) -> None:
    """All of it, or as much as was read the first time."""
    at = looks.asker.job.run.now()
    found: dict[str, Record] = {}
    unread: set[str] = set()
    page, _ = looks.asker.page(looks.everything, None)
    read = 1
    while True:
        found.update((record.key, record) for record in page.records if record.key in looks.suspects)
        unread.update(bad.key for bad in page.rejected if bad.key is not None)
        if page.next is None or (looks.in_part and read >= looks.pages):
            break
        page, _ = looks.asker.page(looks.everything, page.next)
        read += 1
    for key in looks.suspects:
        if key not in unread and (key in found or not looks.in_part):  # what a part doesn't show says nothing
            again[key] = Again(found.get(key), at)


def _slices_again(looks: Looks, again: dict[str, Again]) -> None:
    """A page that is asked for once more shows all of its records again; what it no longer shows says nothing."""
    windows = {suspect.window for suspect in looks.suspects.values() if suspect.window is not None}
    for window in windows:
        page, at = looks.asker.page(window, None)
        records = by_key(page.records)
        for key, suspect in looks.suspects.items():
            if suspect.window == window and key in records:
                again[key] = Again(records[key], at)


def _single_again(looks: Looks, key: str) -> Again | None:
    """None: it is there, and can't be read."""
    request = single_of(looks.asker.stream, key)
    assert request is not None  # noqa: S101 - asked for before
    page, at = looks.asker.single(key, request)
    if page.rejected:
        return None
    gone = next((each for each in page.gone if each.key == key), None)
    return Again(by_key(page.records).get(key), at, gone)
