"""Is a refusal taken for what it is: a wait, a failure that passes, or something that a person must mend?"""

from datetime import datetime, timedelta

from scheduler.connectors.check.bench import Bench
from scheduler.connectors.check.checks.check import Check
from scheduler.connectors.check.double.any_double import WAIT, Complaint, Kind
from scheduler.connectors.check.driving.copy import Copy
from scheduler.connectors.check.kinds import asking, pages
from scheduler.connectors.check.outcome import Broken, Spared
from worker.errors import HeadraceError, NeedsOperator, RateLimited, Transient
from worker.parsing.wording import counted

SHORT = 0.03
"""Seconds after which an answer that doesn't come is given up."""
SILENT = 8
"""Requests that get no answer: smaller pages are tried twice before it counts."""
_CLASSES: dict[Kind, tuple[type[HeadraceError], ...]] = {
    "transient": (Transient, RateLimited),
    "rate_limited": (RateLimited,),
    "operator": (NeedsOperator,),
}
_APART = frozenset({"silent", "throttled"})
"""Troubles that are tried otherwise than the others."""


def waits(bench: Bench) -> str:
    """On the first page, and in the middle of a window."""
    if "throttled" not in bench.double.troubles:
        raise Spared("It asks nobody to wait.")
    bench.fill(3)
    bench.double.create(bench.stream, 40)
    for read in (0, 1):
        copy = bench.copy()
        if read and copy.sync(read):
            break
        bench.double.trouble("throttled")
        _waits_as_asked(bench, copy)
        bench.double.advance(WAIT + 1)
        copy.go_on_in(copy.account.begun_anew())
        copy.load()
        bench.compare(copy, "after the wait")
    return f"{WAIT} s" if bench.double.says_how_long else "for as long as we think, since it doesn't say"


def _waits_as_asked(bench: Bench, copy: Copy) -> None:
    error = _failure_of(copy)
    if not isinstance(error, RateLimited):
        raise Broken("that a request which was throttled is taken for a wait", _told(error))
    asked = len(bench.double.asked())
    wait = (error.resume_at - bench.double.now) / timedelta(seconds=1)
    if wait < (WAIT if bench.double.says_how_long else 1):
        raise Broken(f"a wait of {WAIT} s, as it asked", f"{wait:g} s")
    if bench.double.says_how_long and wait > 2 * WAIT:
        raise Broken(f"a wait of {WAIT} s, as it asked", f"{wait:g} s")
    if not copy.account.budget.held:
        raise Broken("that the whole account waits", "only this run does")
    if len(bench.double.asked()) != asked:
        raise Broken("no request until then", "more requests")


def errors(bench: Bench) -> str:
    bench.fill(2)
    usual = [
        Complaint(name, name, kind) for name, kind in bench.double.troubles.items() if name not in _APART
    ]
    for each in [*usual, *bench.double.complaints()]:
        if each.kind == "auth_expired":
            continue  # `login` sees to it
        copy = bench.copy()
        # Beside a failing page others were asked for; an error of theirs is none of the run's.
        bench.double.trouble(each.answer, each.answer)
        _is_taken_for(each, _failure_of(copy), bench.double.now)
        bench.double.no_more_trouble()
        _comes_back(bench, copy, each.name)
    silent = "silent" in bench.double.troubles
    if silent:
        _gives_up_on_silence(bench)
    own = len(bench.double.complaints())
    return counted(len(usual) + silent, "trouble") + (f", {own} of the system's own" if own else "")


def _is_taken_for(each: Complaint, error: HeadraceError | None, now: datetime) -> None:
    if not isinstance(error, _CLASSES[each.kind]):
        raise Broken(f"that {each.name} is taken for {_WORDS[each.kind]}", _told(error))
    if isinstance(error, RateLimited) and each.wait is not None:
        wait = (error.resume_at - now) / timedelta(seconds=1)
        if not each.wait <= wait <= 2 * each.wait:
            raise Broken(f"a wait of {each.wait:g} s, as {each.name} asks", f"{wait:g} s")
    if each.words and each.words not in str(error):
        raise Broken(f"the system's words ({each.words}) in the message", str(error))


def _comes_back(bench: Bench, copy: Copy, name: str) -> None:
    bench.double.advance(3700)
    copy.go_on_in(copy.account.begun_anew())
    copy.load()
    bench.compare(copy, f"once {name} is over")


def _gives_up_on_silence(bench: Bench) -> None:
    copy = bench.copy(timeout=SHORT)
    for _ in range(SILENT):
        bench.double.trouble("silent")
    error = _failure_of(copy)
    if not isinstance(error, Transient | RateLimited):
        raise Broken("that no answer is taken for a failure that passes", _told(error))
    bench.double.no_more_trouble()
    bench.double.advance(3700)
    copy.go_on_in(copy.account.begun_anew(timeout=5.0))
    copy.load()
    bench.compare(copy, "once it answers again")


def login(bench: Bench) -> str:
    """A token that is forgotten in the middle, and a secret that is wrong."""
    bench.fill(3)
    copy = bench.copy()
    copy.sync(1)
    seen = []
    if bench.double.expire():
        copy.load()
        bench.compare(copy, "after its session was forgotten between two pages")
        seen.append("a forgotten session is renewed")
    for each in bench.double.complaints():
        if each.kind == "auth_expired":
            _renews_after(bench, each)
            seen.append(f"so it is after {each.name}")
    refused = _wrong_secrets(bench)
    if refused:
        seen.append("a wrong secret needs a person and is tried once")
    if not seen:
        raise Spared("It needs no secret.")
    return ", ".join(seen)


def _renews_after(bench: Bench, each: Complaint) -> None:
    """What says in the system's own words that a session is over leads to a new one, and the request is sent again."""
    copy = bench.copy()
    copy.sync(1)
    before = len(bench.double.asked(("login",)))
    bench.double.trouble(each.answer)
    copy.load()
    bench.compare(copy, f"after {each.name} between two pages")
    if len(bench.double.asked(("login",))) == before:
        raise Broken(f"a new log-in after {each.name}", "none")


def _wrong_secrets(bench: Bench) -> int:
    tried = 0
    account = bench.account()
    hooks = account.source.webhooks
    known = {*account.connector.secrets_of(bench.double.settings())} - {
        *(hooks.secret_names if hooks else ())
    }
    for name in (name for name in bench.double.secrets if name in known):
        with bench.wrong_secret(name) as account:
            before = len(bench.double.log)
            error = _failure_of(Copy(account, bench.stream))
            asked = len(bench.double.log) - before
        if not isinstance(error, NeedsOperator):
            raise Broken(f"that a wrong {name} is for a person to mend", _told(error))
        if asked > 3:
            raise Broken(f"one try of a wrong {name}, since systems lock users", f"{asked} requests")
        tried += 1
    return tried


def _failure_of(copy: Copy) -> HeadraceError | None:
    """What the next reading ends with."""
    try:
        copy.sync()
        copy.history()
    except HeadraceError as exc:
        return exc
    return None


_WORDS: dict[Kind, str] = {
    "transient": "a failure that passes (tried again)",
    "rate_limited": "a wait",
    "operator": "something that a person must mend",
}


def _told(error: HeadraceError | None) -> str:
    return "no failure at all" if error is None else f"{type(error).__name__} {error.code}: {error}"


CHECKS = (
    Check(
        "waits",
        "Where the system asks to wait, the account waits as long as it asked, and then goes on.",
        waits,
        matters=asking,
    ),
    Check(
        "errors",
        "Every kind of error is taken for what it is, and nothing is lost by it.",
        errors,
        matters=pages,
    ),
    Check(
        "login",
        "A session that was forgotten is renewed; a wrong secret is tried once and told to a person.",
        login,
        matters=asking,
    ),
)
