"""When may a plant's system be asked? What people write in the connections file, what stands in a stream's options, and back.

In the file: `{timezone: Europe/Berlin, allow: [{days: mon-fri, from: "18:00", to: "06:00"}], deny: […], on_demand: true}`.
In the options the same with all defaults filled in and each day named; `worker/engine/admission/opening.py` reckons with it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scheduler.connections.options.schedule import parse_time_zone
from worker.engine.admission.opening import DAYS, never_opens, read_windows
from worker.errors import InvalidInput
from worker.parsing.wording import suggest

MOST_SPANS = 50

_WALL_TIME = re.compile(r"(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)", re.ASCII)
_LIST = re.compile(r"\s*,\s*")


def parse_windows(given: Any) -> dict[str, Any]:
    """The option for the row. Raises `InvalidInput` whose `place` is the key at fault."""
    if not isinstance(given, Mapping):
        raise _wrong("", "Windows are a mapping.", 'Such as {allow: [{from: "18:00", to: "06:00"}]}.')
    if unknown := sorted(given.keys() - {"timezone", "allow", "deny", "on_demand"}):
        known = ("timezone", "allow", "deny", "on_demand")
        raise _wrong(str(unknown[0]), f"Windows have no {unknown[0]!r}.", suggest(str(unknown[0]), known))
    on_demand = given.get("on_demand", True)
    if not isinstance(on_demand, bool):
        raise _wrong("on_demand", "on_demand is true or false.")
    option = {
        "timezone": parse_time_zone(given.get("timezone")),
        "allow": _spans(given, "allow"),
        "deny": _spans(given, "deny"),
        "on_demand": on_demand,
    }
    if not option["allow"] and not option["deny"]:
        raise _wrong("", "Windows say what is allowed, or what is denied.", "Give allow, deny, or both.")
    if never_opens(read_windows(option)):
        raise _wrong("", "These windows never open: all that is allowed is denied as well.")
    return option


def file_windows(option: Mapping[str, Any]) -> dict[str, Any]:
    """As the connections file writes it, what is so by default left out."""
    written: dict[str, Any] = {} if option["timezone"] == "UTC" else {"timezone": option["timezone"]}
    for kind in ("allow", "deny"):
        if option[kind]:
            written[kind] = [{**span, "days": _written_days(span["days"])} for span in option[kind]]
    return written if option["on_demand"] else {**written, "on_demand": False}


def format_windows(option: Mapping[str, Any]) -> str:
    """For people: `mon-fri 18:00-06:00, not sun, Europe/Berlin`."""
    words = [_words(span) for span in option["allow"]] + [f"not {_words(span)}" for span in option["deny"]]
    ends = [option["timezone"]] if option["on_demand"] else [option["timezone"], "no exceptions on demand"]
    return ", ".join([*words, *ends])


def _spans(given: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    spans = given.get(kind, [])
    if not isinstance(spans, list) or len(spans) > MOST_SPANS:
        raise _wrong(kind, f"{kind} is a list of at most {MOST_SPANS} times.")
    return [_span(span, f"{kind}.{place}") for place, span in enumerate(spans)]


def _span(given: Any, place: str) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not given or given.keys() - {"days", "from", "to"}:
        raise _wrong(
            place, "A time is days, from and to.", 'Such as {days: mon-fri, from: "18:00", to: "06:00"}.'
        )
    start, end = given.get("from", "00:00"), given.get("to", "24:00")
    for key, wall in (("from", start), ("to", end)):
        if not isinstance(wall, str) or not _WALL_TIME.fullmatch(wall):
            raise _wrong(f"{place}.{key}", f"{key} is no time of day.", 'Write it like "06:00" or "23:30".')
    if start == "24:00":
        raise _wrong(f"{place}.from", "A day begins at 00:00.", 'Write from: "00:00", and the next day.')
    return {"days": _days(given.get("days", ",".join(DAYS)), f"{place}.days"), "from": start, "to": end}


def _days(given: Any, place: str) -> list[str]:
    """`mon-fri`, `sat, sun`, or a list of such; `fri-mon` goes over the weekend."""
    parts = [given] if isinstance(given, str) else given
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise _wrong(place, "days are names of days.", "Write them like mon-fri, or [mon, wed].")
    chosen: set[int] = set()
    for part in (one for text in parts for one in _LIST.split(text.strip().lower())):
        first, dash, last = part.partition("-")
        for name in (first, last) if dash else (first,):
            if name not in DAYS:
                raise _wrong(place, f"There is no day {name!r}.", f"Days are {', '.join(DAYS)}.")
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        chosen |= {(start + step) % 7 for step in range((end - start) % 7 + 1)}
    return [DAYS[day] for day in sorted(chosen)]


def _written_days(days: Sequence[str]) -> str:
    """Neighbours as `mon-fri`."""
    runs: list[list[str]] = []
    for day in days:
        if runs and DAYS.index(day) == DAYS.index(runs[-1][-1]) + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(_written_run(run) for run in runs)


def _written_run(run: Sequence[str]) -> str:
    return f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(run)


def _words(span: Mapping[str, Any]) -> str:
    days = "" if len(span["days"]) == 7 else _written_days(span["days"])
    whole = (span["from"], span["to"]) == ("00:00", "24:00")
    times = "" if whole and days else f"{span['from']}-{span['to']}"
    return _joined((days, times))


def _joined(words: Iterable[str]) -> str:
    return " ".join(word for word in words if word)


def _wrong(place: str, message: str, hint: str | None = None) -> InvalidInput:
    return InvalidInput("bad_windows", message, place=place or None, hint=hint)
