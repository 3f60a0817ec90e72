"""Every check over every stream: with each, or with one of each kind where streams differ in nothing that matters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from scheduler.connectors.check.bench import Bench, Subject, bench
from scheduler.connectors.check.checks import care, deletes, reading, times, trouble
from scheduler.connectors.check.checks.check import Check
from scheduler.connectors.check.double.any_double import AnyDouble
from scheduler.connectors.check.double.faults import Fault, fault_of
from scheduler.connectors.check.double.vetting import vet, vet_connection
from scheduler.connectors.check.kinds import kinds
from scheduler.connectors.check.outcome import Broken, Outcome, Spared
from worker.errors import HeadraceError, NotFound
from worker.parsing.documents import suggest
from worker.telemetry.redaction import redactor

CHECKS: Sequence[Check] = (
    *reading.CHECKS,
    *times.CHECKS,
    *deletes.CHECKS,
    *trouble.CHECKS,
    *care.CHECKS,
)
Told = Callable[[Outcome], None]


@dataclass(frozen=True)
class Choice:
    """What is tried."""

    checks: Sequence[Check] = CHECKS
    streams: Sequence[str] = ()
    """Empty: all."""
    all_kinds: bool = False
    """Every check with every stream, however alike they are."""


def checks_named(names: Sequence[str]) -> Sequence[Check]:
    """Those of these names; all where there are none. `NotFound` with the nearest name for one that isn't there."""
    known = {check.name: check for check in CHECKS}
    for name in names:
        if name not in known:
            message = f"There is no check {name!r}."
            raise NotFound("unknown_check", message, hint=suggest(name, known) or None)
    return [known[name] for name in names] or CHECKS


def run(subject: Subject, choice: Choice = Choice(), told: Told = lambda _: None) -> list[Outcome]:
    """All outcomes, in the order of the checks; each is told as it comes."""
    outcomes = []
    for check, stream in _tries(subject, choice):
        outcome = try_out(check, subject, stream)
        told(outcome)
        outcomes.append(outcome)
    return outcomes


def try_out(check: Check, subject: Subject, stream: str) -> Outcome:
    """One check with one stream."""
    try:
        with bench(subject, stream) as there:
            return replace(_tried(check, there), stream=stream)
    except Exception as exc:
        # It can't even begin, or end.
        fault = fault_of(exc, double_class(subject))
        if fault is None:
            raise
        return Outcome(check.name, "faulty", stream=stream, expected="that the double runs", came=fault.words)


def _tried(check: Check, there: Bench) -> Outcome:
    faults = there.double.faults
    try:
        found = Outcome(check.name, "passed", check.tries(there))
    except Spared as exc:
        found = Outcome(check.name, "not applicable", str(exc))
    except Broken as exc:
        found = _failed(check, exc.expected, exc.came)
    except HeadraceError as exc:
        found = _failed(check, "no failure", f"{exc.code}: {exc}")
    except Exception as exc:  # noqa: BLE001 - a hook or a double may break in any way
        if (fault := fault_of(exc, type(there.double))) is not None:
            faults.append(replace(fault, refuses=False, doubtful=False))
        found = _failed(check, "that it runs", f"{type(exc).__name__}: {exc}")
    found = judged(found, faults)
    if found.mark not in {"failed", "faulty"}:
        return found
    return replace(
        found,
        expected=redactor.redact(found.expected or ""),
        came=redactor.redact(found.came or ""),
        request=there.last_request(),
    )


def _failed(check: Check, expected: str, came: str) -> Outcome:
    return Outcome(check.name, "failed", expected=expected, came=came)


def judged(found: Outcome, faults: Sequence[Fault]) -> Outcome:
    """The outcome, if the double's own code failed meanwhile: nothing is said of the connector then.

    What it couldn't read (a ValueError) may be the connector's mistake, and is told beside a promise that is broken.
    """
    sure = [each for each in faults if not each.refuses and (found.mark == "failed" or not each.doubtful)]
    if sure:
        return replace(found, mark="faulty", words="", expected="that the double runs", came=sure[-1].words)
    if found.mark == "failed" and faults:
        last = faults[-1]
        said = f"{found.came} (the double answered 400 in {last.method}(): {last.error}, {last.place})"
        return replace(found, came=said)
    return found


def double_class(subject: Subject) -> type[AnyDouble]:
    """Its class, also where something makes one in its own way."""
    return subject.double if isinstance(subject.double, type) else AnyDouble


def _tries(subject: Subject, choice: Choice) -> Iterator[tuple[Check, str]]:
    streams = {
        name: spec
        for name, spec in subject.whole.streams.items()
        if not choice.streams or name in choice.streams
    }
    if isinstance(subject.double, type):
        vet(subject.double, list(streams))
        with subject.double() as double:
            vet_connection(double, subject.connector())
    for check in choice.checks:
        for stream in streams if check.every or choice.all_kinds else kinds(streams, check.matters):
            yield check, stream
