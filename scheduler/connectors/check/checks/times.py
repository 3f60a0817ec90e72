"""Is what changed found, in any time zone and to the last digit of a time?"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from scheduler.connectors.check import kinds
from scheduler.connectors.check.bench import DAY, Bench
from scheduler.connectors.check.checks.check import Check
from scheduler.connectors.check.driving.copy import Copy
from scheduler.connectors.check.outcome import Broken, Spared
from worker.connectors.contract import Window
from worker.parsing.wording import counted

HOUR = 3600.0
ZONES = {"UTC-8": "America/Los_Angeles", "UTC+9": "Asia/Tokyo"}
WINTER = datetime(2026, 1, 15, 4, 30, tzinfo=UTC)
PUT_BACK = datetime(2026, 11, 1, 8, 50, tzinfo=UTC)
"""Ten minutes before clocks in Los Angeles show 01:00 for the second time."""


def increment(bench: Bench) -> str:
    copy = bench.loaded(2)
    bench.double.advance(DAY)
    keys = list(copy.records)
    before = {key: kept.version for key, kept in copy.records.items()}
    changed = [keys[0], keys[-1]]
    bench.double.change(bench.stream, *changed)
    bench.double.create(bench.stream)
    came = _synced(copy)
    bench.compare(copy, "after two changes and a new record")
    for key in changed:
        old, new = before[key], copy.records[key].version
        if old is not None and new is not None and new <= old:
            raise Broken(f"a version of record {key} that grows with a change (it was {old})", str(new))
    incremental = bench.described.traits.incremental
    if incremental and len(came) >= len(keys):
        raise Broken(
            "what changed since the last run", f"all {len(came)} records: the request asks for everything"
        )
    bench.double.advance(HOUR)
    bench.double.change(bench.stream, keys[1])
    _synced(copy)
    bench.compare(copy, "after a second increment")
    return f"{len(came)} of {len(copy.records)} came" if incremental else "everything is read each time"


def _synced(copy: Copy) -> set[str]:
    before = len(copy.came)
    copy.sync()
    return set(copy.came[before:])


def cursor(bench: Bench) -> str:
    if not bench.described.traits.incremental:
        raise Spared("It has no cursor.")
    if bench.described.traits.token:
        raise Spared("The cursor is the system's own.")
    bench.fill(1)
    copy = bench.copy()
    copy.load()
    return f"{counted(_compare_cursors(bench, copy), 'record')}, to the last digit"


def _compare_cursors(bench: Bench, copy: Copy) -> int:
    count = 0
    for key, kept in copy.records.items():
        truth = bench.double.changed_at(bench.stream, key)
        if truth is None or isinstance(truth, datetime) is not isinstance(kept.cursor, datetime | None):
            continue
        count += 1
        if kept.cursor != truth:
            raise Broken(f"{truth} as the cursor of record {key}", str(kept.cursor))
    if not count:
        raise Spared("The double doesn't say what the cursor is.")
    return count


def slices(bench: Bench) -> str:
    if not bench.described.traits.bounded or not bench.described.traits.timestamps:
        raise Spared("It can't be asked for what changed up to a time.")
    bench.fill(3)
    bench.double.advance(3 * DAY)
    bench.double.create(bench.stream, 4)
    rows = sorted(
        (at, key)
        for key in bench.double.truth(bench.stream)
        if isinstance(at := bench.double.changed_at(bench.stream, key), datetime)
    )
    since, until = rows[len(rows) // 4][0], rows[-5][0]
    came = {record.key for page in bench.copy().window(Window(since, until)) for record in page.records}
    lacking = [key for at, key in rows if since <= at <= until and key not in came]
    if lacking:
        raise Broken(f"all that changed from {since} to {until}, both included", f"nothing of {lacking[:3]}")
    if beyond := [key for at, key in rows if at > until + timedelta(days=1) and key in came]:
        raise Broken(
            f"nothing that changed after {until}", f"{len(beyond)} such records: the bound isn't heeded"
        )
    return f"{len(came)} of {len(rows)}"


def zones(bench: Bench) -> str:
    """The account's zone, and that of our own process, are far from UTC; clocks are put back."""
    if not bench.described.traits.incremental:
        raise Spared("It has no cursor.")
    if bench.described.traits.token:
        raise Spared("The cursor is the system's own, which knows its zone.")
    for words, name in ZONES.items():
        with _process_in(name):
            bench.double.zone = ZoneInfo(name)
            bench.double.now = max(WINTER, bench.double.now)
            _in_zone(bench, words)
    with _process_in(ZONES["UTC-8"]):
        bench.double.zone = ZoneInfo(ZONES["UTC-8"])
        _through_the_put_back(bench)
    return ", ".join(ZONES) + ", and clocks put back"


def _in_zone(bench: Bench, words: str) -> None:
    bench.double.create(bench.stream, 4)
    bench.double.advance(2 * DAY)
    bench.double.create(bench.stream, 3)
    copy = bench.copy()
    copy.load()
    bench.compare(copy, f"for an account at {words}")
    try:
        _compare_cursors(bench, copy)
    except Broken as exc:
        raise Broken(exc.expected + f" for an account at {words}", exc.came) from None
    except Spared:
        pass
    for _ in range(3):
        bench.double.advance(HOUR)
        bench.double.change(bench.stream, next(iter(copy.records)))
        bench.double.create(bench.stream)
        copy.sync()
        bench.compare(copy, f"an hour later, for an account at {words}")


def _through_the_put_back(bench: Bench) -> None:
    bench.double.now = PUT_BACK
    copy = bench.copy()
    copy.load()
    for _ in range(4):
        bench.double.advance(HOUR / 3)
        bench.double.create(bench.stream)
        copy.sync()
        bench.compare(copy, "in the hour that comes twice at UTC-8")


@contextmanager
def _process_in(zone: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


CHECKS = (
    Check(
        "increment",
        "After the first load only what changed is asked for, and all of it comes.",
        increment,
        every=True,
    ),
    Check(
        "precision",
        "The cursor of each record is the moment at which it changed, to the last digit.",
        cursor,
        every=True,
    ),
    Check(
        "slices",
        "A window holds what changed in it, both its bounds included, and nothing later.",
        slices,
        matters=kinds.cursor,
    ),
    Check(
        "zones",
        "Nothing is missed for accounts at UTC-8 and UTC+9, wherever the worker runs.",
        zones,
        matters=kinds.cursor,
    ),
)
