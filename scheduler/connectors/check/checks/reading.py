"""Is everything read, once, as it is, whatever happens between two pages?"""

from itertools import pairwise

from scheduler.connectors.check.bench import Bench
from scheduler.connectors.check.checks.check import Check
from scheduler.connectors.check.double.exchange import Call
from scheduler.connectors.check.driving.copy import Copy
from scheduler.connectors.check.kinds import cursor, pages
from scheduler.connectors.check.outcome import Broken, Spared
from worker.connectors.contract import Record, Window
from worker.parsing.wording import counted

HOUR = 3600.0
BESIDE = 4
MANY = 1000
MOST_STOPS = 100


def first_load(bench: Bench) -> str:
    """Many pages: the connector's own idea of how many there are is what is tried."""
    there = bench.fill(3)
    if not bench.described.traits.details:  # each of them is a request there
        bench.double.create(bench.stream, min(MANY, 4 * there))
    bench.double.advance(HOUR)
    copy = bench.copy()
    copy.load()
    bench.compare(copy, "after the first load")
    return counted(len(copy.records), "record")


def resume(bench: Bench) -> str:
    bench.fill(4)
    whole = bench.copy()
    whole.load()
    if whole.pages < 3:
        raise Spared("Everything comes in one page.")
    traits = bench.described.traits
    # What is read in one go and keeps no place begins anew after a stop: it would never end.
    stops = 0 if traits.unbroken and not traits.token else _stopped_after_every_page(bench)
    middle = bench.copy()
    middle.sync(1)
    middle.go_on_in(middle.account.begun_anew())
    middle.load()
    bench.compare(middle, "after a stop and the rest in one go")
    return counted(stops, "stop") if stops else "begun anew after a stop"


def _stopped_after_every_page(bench: Bench) -> int:
    copy, stops = bench.copy(), 0
    for read in (copy.sync, copy.history):
        while not read(1):
            stops += 1
            copy.go_on_in(copy.account.begun_anew())
            if stops > MOST_STOPS:
                raise Broken("an end", "the same pages again and again after each stop")
    copy.read_tombstones()
    bench.compare(copy, "after a stop behind every page")
    return stops


def moving(bench: Bench) -> str:
    """Records that are edited, made and deleted while they are read."""
    bench.fill(4)
    keys = [*bench.double.truth(bench.stream)]
    turns = 0

    def between(call: Call) -> None:
        nonlocal turns
        del call
        if turns < len(keys) // 2 - 1:
            bench.double.advance(0.25)
            bench.double.change(bench.stream, keys[turns])
            bench.double.delete(bench.stream, keys[-1 - turns])
            if turns % 2:
                bench.double.create(bench.stream)
        turns += 1

    copy = bench.copy()
    bench.double.ambush = between
    copy.load()
    bench.double.ambush = None
    bench.double.advance(HOUR)
    copy.sync()
    copy.read_tombstones()
    there = bench.double.truth(bench.stream)
    kept = copy.records
    missing = [key for key in there if key not in kept or not bench.same(kept[key].raw, there[key])]
    if missing:
        raise Broken(
            "every record, as it is, once changes end",
            f"nothing, or an older state, of {', '.join(missing[:5])}",
        )
    return f"{counted(turns, 'page')}, a change before each"


def beside(bench: Bench) -> str:
    bench.fill(6)
    first = next(bench.copy().through(Window()))
    if first.next is None or not bench.described.onward(None, first, BESIDE):
        raise Spared("Only a page says where the next one is.")
    copy = bench.copy(side_by_side=BESIDE)
    copy.load()
    bench.compare(copy, f"with {BESIDE} pages asked for at once")
    return f"{BESIDE} at once"


def ties(bench: Bench) -> str:
    """More of one instant than a page holds, and one more after they were read."""
    bench.fill(2)
    size = max(len(page.records) for page in bench.copy().window(Window()))
    bench.double.create(bench.stream, 2 * size + 1)
    copy = bench.copy()
    copy.load()
    bench.compare(copy, f"with {2 * size + 1} of one instant")
    _late_in_an_instant(bench, copy)
    return f"{2 * size + 1} of one instant"


def _late_in_an_instant(bench: Bench, copy: Copy) -> None:
    bench.double.create(bench.stream)
    bench.double.change(bench.stream, next(iter(copy.records)))
    copy.sync()
    bench.compare(copy, "after a change in the very instant of the last one that was read")


def single(bench: Bench) -> str:
    bench.double.create(bench.stream, 3)
    copy = bench.copy()
    copy.load()
    bench.compare(copy, "after the first load")
    key = next(iter(copy.records))
    page = copy.ask(key)
    if page is None:
        raise Spared("Records can't be asked for by their keys.")
    listed = _listed(copy, key)
    if [record.key for record in page.records] != [key]:
        raise Broken(f"record {key}", f"{[record.key for record in page.records]}, {page.rejected[:1]}")
    if page.records[0].digest != listed.digest:
        raise Broken(
            f"record {key} as in the list, or it seems changed by each look: {listed.raw.decode()[:200]}",
            page.records[0].raw.decode()[:200],
        )
    bench.double.delete(bench.stream, key)
    asked = copy.ask(key)
    if asked is not None and [each.key for each in asked.gone] != [key] and not _says_deleted(asked.records):
        raise Broken("that a deleted record is gone", counted(len(asked.records), "record"))
    return "as in the list, and gone once it was deleted"


def _listed(copy: Copy, key: str) -> Record:
    came = copy.window(Window())
    return next(record for page in came for record in page.records if record.key == key)


def _says_deleted(records: list[Record]) -> bool:
    return bool(records) and all(record.deleted for record in records)


def in_order(bench: Bench) -> str:
    if not bench.described.traits.ordered:
        raise Spared("The manifest doesn't say that pages come in the order of the cursor.")
    bench.fill(4)
    bench.double.change(bench.stream, next(iter(bench.double.truth(bench.stream))))
    came = bench.copy().window(Window())
    cursors = [record.cursor for page in came for record in page.records if record.cursor is not None]
    for before, after in pairwise(cursors):
        if after < before:  # type: ignore[operator]
            raise Broken(
                "records in the order of the cursor, since the manifest says `ordered`",
                f"{after} after {before}",
            )
    return counted(len(cursors), "record")


CHECKS = (
    Check("first_load", "Everything that is there comes, once each, as it is.", first_load, every=True),
    Check(
        "resume", "Reading that stops after any page goes on there in another process, without a gap.", resume
    ),
    Check(
        "moving", "Records that change, come and go while pages are read are neither lost nor stale.", moving
    ),
    Check(
        "beside",
        "Pages asked for side by side give what they give one after another.",
        beside,
        matters=pages,
    ),
    Check(
        "order",
        "Pages come in the order of the cursor, where the manifest says so.",
        in_order,
        matters=cursor,
    ),
    Check("ties", "Records of one instant are all read, also those that come after it was read.", ties),
    Check(
        "single",
        "One record asked for by its key is the one of the list, and gone once it was deleted.",
        single,
        every=True,
    ),
)
