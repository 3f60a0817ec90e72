"""Is it noticed what is gone, in every way that the manifest names, and nothing else?"""

from scheduler.connectors.check.bench import Bench
from scheduler.connectors.check.checks.check import Check
from scheduler.connectors.check.driving.copy import Copy
from scheduler.connectors.check.outcome import Broken, Spared

HOUR = 3600.0


def deletes(bench: Bench) -> str:
    copy = bench.loaded(2)
    ways: list[str] = []
    for told in (_by_the_live_run, _by_sweep):
        ways += told(bench, copy)
    if not ways:
        raise Spared("The manifest names no way to tell what was deleted.")
    return ", ".join(ways)


def _by_the_live_run(bench: Bench, copy: Copy) -> list[str]:
    """By a flag, a mark, a list of its own, or the record that held it: each live run notices."""
    spec = bench.spec
    ways = [
        words
        for words, there in {
            "a flag": spec.shape.deleted is not None,
            "a mark in the list": spec.removed is not None,
            "what held it": spec.shape.explode is not None and spec.shape.explode.by > 0,
            "the system's list of deletes": copy.described.tombstones() is not None,
        }.items()
        if there
    ]
    if not ways:
        return []
    _delete_and_compare(bench, copy, ways, [copy.sync, copy.read_tombstones])
    return ways


def _by_sweep(bench: Bench, copy: Copy) -> list[str]:
    if copy.described.sweep() is None:
        return []
    _delete_and_compare(bench, copy, ["a sweep"], [copy.sync, copy.sweep])
    return ["a sweep"]


def _delete_and_compare(bench: Bench, copy: Copy, ways: list[str], reads: list[object]) -> None:
    bench.double.advance(HOUR)
    copy.sync()
    doomed = list(copy.records)[1:4:2]
    bench.double.advance(HOUR)
    bench.double.delete(bench.stream, *doomed)
    bench.double.change(bench.stream, next(iter(copy.records)))
    bench.double.advance(1.0)
    for read in reads:
        read()  # type: ignore[operator]
    words = f"after {', '.join(doomed)} were deleted, by {' and '.join(ways)}"
    if held := [key for key in doomed if key in copy.records]:
        raise Broken(f"tombstones of {', '.join(doomed)} {words}", f"none of {', '.join(held)}")
    bench.compare(copy, words)


CHECKS = (
    Check(
        "deletes",
        "What was deleted is noticed, in every way that the manifest names, and nothing else is.",
        deletes,
        every=True,
    ),
)
