"""Does it take care: of changed schemas, of secrets, of memory, of the number of requests?"""

import gc
import tracemalloc
from base64 import b64encode
from collections.abc import Callable
from statistics import median
from urllib.parse import quote

from scheduler.connectors.check.bench import DAY, Bench
from scheduler.connectors.check.checks.check import Check
from scheduler.connectors.check.checks.listening import heard
from scheduler.connectors.check.driving.copy import Copy
from scheduler.connectors.check.kinds import asking, pages
from scheduler.connectors.check.outcome import Broken, Spared
from worker.connectors.contract import Window
from worker.engine.planning.reach import is_unbounded
from worker.errors import HeadraceError
from worker.parsing.wording import counted

SHORTEST = 4
MOST_LOG_INS = 2
"""A login and a token may be two."""
TIMES = 3
LONG = 16_000
"""Characters in a record: much beside what is remembered of each request, such as its address."""
ROOM = 64 * 1024
"""Bytes that may be held for reasons of their own."""


def drift(bench: Bench) -> str:
    copy = bench.loaded(2)
    bench.double.drifted = True
    bench.double.advance(DAY)
    bench.double.change(bench.stream, *copy.records)
    copy.sync()
    bench.compare(copy, "after a release that adds a field")
    keys = list(copy.records)
    bench.double.advance(DAY)
    bench.double.change(bench.stream, *keys)
    if not bench.double.spoil_one(bench.stream):
        return "a field more"
    before = len(copy.came)
    copy.sync()
    came = set(copy.came[before:])
    if not copy.rejected:
        raise Broken("that a record without a key is set aside", "nothing")
    if len(came) < len(keys) - 1:
        raise Broken(f"{len(keys) - 1} records beside one that can't be taken", f"{len(came)}")
    return "a field more, and a record without a key"


def secrets(bench: Bench) -> str:
    """Everything is logged, down to each request, while the system repeats in its errors what was sent to it."""
    if not bench.double.secrets:
        raise Spared("It needs no secret.")
    errors: list[str] = []
    with heard() as said:
        bench.fill(2)
        copy = bench.copy()
        for echo in (None, *bench.double.echoes()):
            if echo is not None:
                bench.double.trouble(echo, echo)
            try:
                copy.load()
            except HeadraceError as exc:
                errors += [str(exc), repr(exc)]
            bench.double.no_more_trouble()
            bench.double.advance(3700)
            copy.go_on_in(copy.account.begun_anew())
        copy.load()
        with bench.wrong_secret(next(iter(bench.double.secrets)), keeps=True) as account:
            try:
                Copy(account, bench.stream).sync()
            except HeadraceError as exc:
                errors += [str(exc), repr(exc)]
    values = {*bench.double.secrets.values(), *bench.double.issued}
    places = {
        "the log": said.getvalue(),
        "an error": "\n".join(errors),
        "a cursor": "\n".join(copy.commits),
    }
    for place, text in places.items():
        if any(form in text for value in values for form in _forms(value)):
            raise Broken("no secret anywhere", f"one in {place}")
    urls = " ".join(f"{each.call.path}?{each.call.query}" for each in bench.double.log)
    in_url = any(form in urls for value in values for form in _forms(value))
    lines = len(said.getvalue().splitlines())
    return counted(lines, "line") + (", but one goes in the URL, which proxies log" if in_url else "")


def _forms(value: str) -> set[str]:
    found = {value, quote(value, safe=""), b64encode(value.encode()).decode()}
    return {form for form in found if len(form) >= SHORTEST}


def memory(bench: Bench) -> str:
    """Nothing is kept of pages that were read; an answer beyond the bound is asked for smaller, or refused."""
    bench.double.padding = LONG
    bench.double.create(bench.stream, TIMES * bench.fill(4))
    came, kept = _kept_while_reading(bench)
    if kept > came / 4 + ROOM:
        raise Broken(f"next to nothing kept of the {came:,} bytes that came", f"{kept:,} bytes")
    if not bench.described.traits.details:  # one record can't be asked for smaller
        _bounded_answers(bench)
    return f"{came:,} bytes came, {max(0, kept):,} were kept"


def _kept_while_reading(bench: Bench) -> tuple[int, int]:
    """How much came of a window, and how much more memory was held at its end than soon after its beginning.

    One page after the other: how many are ahead of their turn is another matter, and hangs on who is faster.
    """
    copy, came, held = bench.copy(), 0, []
    copy.account.ahead.close()
    gc.freeze()  # what was there before is no matter, and needn't be looked through for each page
    tracemalloc.start()
    try:
        for _ in copy.through(Window()):
            came += sum(len(each.answer.content) for each in bench.double.log)
            bench.double.log.clear()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    quarter = max(1, len(held) // 4)
    return came, int(median(held[-quarter:]) - median(held[:quarter]))


def _bounded_answers(bench: Bench) -> None:
    whole = bench.copy(page_size=0)
    whole.load()
    largest = max(len(each.answer.content) for each in bench.double.asked())
    copy = bench.copy(page_size=0, max_bytes=max(1500, largest // 2))
    try:
        copy.load()
    except HeadraceError as exc:
        if exc.code != "page_too_large":
            raise
        return
    bench.compare(copy, "with answers of half the size at most")


def requests(bench: Bench) -> str:
    """One for each page, or for each record that is asked for by itself, and one to log in; one where nothing is new."""
    if bench.double.uncounted:
        raise Spared(bench.double.uncounted)
    bench.fill(4)
    bench.double.log.clear()
    copy = bench.copy()
    first, log_ins = _counted(bench, copy, copy.load)
    if log_ins > MOST_LOG_INS:
        raise Broken("one log-in", f"{log_ins} requests for it")
    bench.double.advance(30 * DAY)
    if is_unbounded(bench.described.traits, Window()):
        # Numbers in any order: the second window reads once more what the first may have seen too late.
        copy.sync()
        bench.double.advance(DAY)
        bench.double.log.clear()
    known = len(copy.came)
    idle, more = _counted(bench, copy, copy.sync)
    bench.compare(copy, "where nothing is new")
    if more:
        raise Broken("that a session is used until it ends", f"{more} more log-ins")
    again = len(copy.came) - known
    planned = 1 + (again if bench.described.traits.details else 0) + _behind_the_end(bench, again)
    if bench.described.traits.incremental and idle > planned:
        raise Broken(f"{counted(planned, 'request')} where nothing is new", f"{idle}")
    return f"{first} for {counted(len(copy.records), 'record')}, {idle} where nothing is new"


def _behind_the_end(bench: Bench, came: int) -> int:
    """Where only an empty page says that there is no more, a window that holds something costs one request more."""
    paging = bench.spec.paging
    looks = getattr(paging, "until_empty", False)
    if looks and bench.double.short_is_last:
        raise Broken(
            "that a page which isn't full is taken for the last, as the system says", "`until_empty`"
        )
    counts = hasattr(paging, "until_empty") and not getattr(paging, "size", 0)
    return int(bool(came) and (looks or counts))


def _counted(bench: Bench, copy: Copy, read: Callable[[], object]) -> tuple[int, int]:
    """Requests for data and for log-ins of a reading; `Broken` where they are more than what they brought."""
    before, had = copy.pages, len(copy.came)
    read()
    brought, came = copy.pages - before, len(copy.came) - had
    planned = brought + (came if bench.described.traits.details else 0)
    data, log_ins = len(bench.double.asked()), len(bench.double.asked(("login", "refused")))
    repeated = [each.call for each in bench.double.asked()]
    bench.double.log.clear()
    if data > planned:
        twice = next((call.words for n, call in enumerate(repeated) if call in repeated[:n]), "")
        raise Broken(counted(planned, "request"), f"{data}" + (f", twice: {twice}" if twice else ""))
    return data, log_ins


CHECKS = (
    Check(
        "drift",
        "A changed schema stops nothing: new fields come, and one bad record is set aside alone.",
        drift,
    ),
    Check(
        "secrets",
        "Secrets and tokens are in no log, error or cursor, even if the system repeats them.",
        secrets,
        matters=asking,
    ),
    Check(
        "memory",
        "Memory is bounded by a few pages, however many records there are.",
        memory,
        matters=pages,
    ),
    Check(
        "requests", "As many requests as pages, one log-in, and one request where nothing is new.", requests
    ),
)
