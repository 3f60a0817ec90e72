"""What does a manifest say of a stream's cursor? Its kind, where it stands, how it is written and asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from worker.connectors.contract import CursorValue
from worker.connectors.cursors import PRECISIONS, format_cursor, is_time, precision_of, typed_json
from worker.connectors.manifest.streams.presets import Preset
from worker.connectors.paging.headers import header_of
from worker.connectors.reading.shape import FieldPath, TimeField, field_path_of
from worker.connectors.spelled import is_spelled, what_is_wrong
from worker.parsing.durations import parse_duration

DEFAULT_OVERLAP = 300.0
WHOLE = frozenset({"number", "epoch_s", "epoch_ms"})
"""Formats that are whole numbers: in a body they have no quotes."""
TOKEN_REFUSED = (410,)
"""By which statuses a system usually says that it knows a token no longer."""

CONDITIONAL = frozenset({"if-none-match", "if-modified-since"})
"""Headers that ask for an answer only if it isn't the one that was had before (RFC 9110, 13.1)."""
NOTHING_NEW = (304,)

Complain = Callable[[Sequence[str], str], Exception]
Zone = Callable[[Mapping[str, Any], Sequence[str]], tzinfo]


@dataclass(frozen=True, slots=True)
class Token:
    """A cursor that the system hands out with its last page."""

    path: FieldPath | None
    """Where the last page holds it; None: in a header."""
    statuses: frozenset[int]
    """By which the system says that it knows a token no longer."""
    words: tuple[str, ...]
    """And which of its words it then says, where the status alone doesn't tell; any of them, in small letters."""
    header: str | None = None
    """The header of requests that says it; None: a parameter does, or it is a link."""
    unchanged: frozenset[int] = frozenset()
    """Statuses by which the system says that nothing is new."""

    @property
    def of_one_answer(self) -> bool:
        """It stands for the content of one answer, and says nothing of pages behind it."""
        return self.header is not None and self.header.lower() in CONDITIONAL


@dataclass(frozen=True, slots=True)
class Incremental:
    """How the system is asked for what changed."""

    time: TimeField
    param: str | None
    until_param: str | None
    template: str = "{value}"
    """What `param` says, with the value in its place."""
    precision: str | None = None
    """To which unit times are said; None: as fine as the format can."""
    nulls: str = "accept"
    """Whether a record without a cursor is taken, or set aside."""
    token: Token | None = None
    descending: bool = False
    """The system can't be asked for changes: the newest come first, and we stop where we have been."""

    def said(self, value: CursorValue, *, round_up: bool = False) -> Any:
        """The value as requests say it: a text, a whole number, or typed JSON."""
        form = self.time.form
        if form == "typed_json" and not isinstance(value, int):
            return typed_json(value)
        text = format_cursor(value, form, self.time.zone, round_up=round_up, precision=self.precision)
        return int(text) if form in WHOLE else text


def read_incremental(found: Mapping[str, Any], preset: Preset, zone: Zone, complain: Complain) -> Incremental:
    """The cursor in the manifest's words; the schema has been checked already."""
    kind = found.get("kind", "timestamp")
    form = found.get("format", {"timestamp": "iso8601"}.get(kind, kind))
    if (kind if kind != "timestamp" else None) != (None if is_time(form) else form):
        raise complain(("incremental", "format"), f"The format {form} doesn't fit the kind {kind}.")
    if kind == "token":
        return _by_token(found, preset, complain)
    for key in ("token", "expired", "header", "unchanged"):
        if key in found:
            raise complain(("incremental", key), f"{key} belongs to the kind token.")
    if "field" not in found:
        raise complain(("incremental",), "incremental needs the field that says when a record changed.")
    if preset.by_manifest and not {"param", "since", "descending"} & found.keys():
        message = (
            "incremental needs the param or the condition (since) that asks for changes, or descending: true."
        )
        raise complain(("incremental",), message)
    if is_spelled(form) and (wrong := what_is_wrong(form)) is not None:
        raise complain(("incremental", "format"), wrong)
    if kind == "number":
        _check_number(found, complain)
    precision = found.get("precision")
    if (
        precision is not None
        and PRECISIONS[precision] < PRECISIONS[precision_of(form) if is_time(form) else "d"]
    ):
        raise complain(("incremental", "precision"), f"The format {form} can't say times that precisely.")
    return Incremental(
        _time(found, form, zone(found, ("incremental", "zone")), complain),
        found.get("param"),
        found.get("until_param"),
        found.get("template", "{value}"),
        precision,
        found.get("nulls", "accept"),
        descending=found.get("descending", False),
    )


_OF_TIMES = {
    "lag": "say by overlap how many numbers behind the last one may still come",
    "precision": "numbers are whole",
    "clock": "a number stands in one field",
    "until_param": "a number says nothing about now, so nobody can ask for changes up to one",
    "until": "a number says nothing about now, so nobody can ask for changes up to one",
}


def _check_number(found: Mapping[str, Any], complain: Complain) -> None:
    """What is said of times says nothing of numbers."""
    for key, why in _OF_TIMES.items():
        if key in found:
            raise complain(("incremental", key), f"{key} goes with times, and the cursor is a number: {why}.")


def overlap_of(found: Mapping[str, Any], incremental: Incremental, complain: Complain) -> float:
    """How far each run looks back: a unit of the cursor's precision at least."""
    form = incremental.time.form
    if incremental.token is not None:
        return 0.0
    number = form == "number"
    overlap = found.get("overlap", 0 if number else DEFAULT_OVERLAP)
    if isinstance(overlap, str) == number and "overlap" in found:
        wanted = "a number, as the cursor is one" if number else "a duration, such as 5m"
        raise complain(("incremental", "overlap"), f"overlap must be {wanted}.")
    seconds = parse_duration(overlap) if isinstance(overlap, str) else float(overlap)
    if number:
        return max(seconds, 1.0)
    return max(seconds, PRECISIONS[incremental.precision or precision_of(form)] / 1_000_000)


def _time(found: Mapping[str, Any], form: str, zone: tzinfo, complain: Complain) -> TimeField:
    fields = found["field"]
    several = [fields] if isinstance(fields, str) else fields
    paths = tuple(field_path_of(path) for path in several)
    if "clock" not in found:
        return TimeField(paths, form, zone)
    if len(paths) > 1 or form not in {"date", "datetime", "iso8601", "odata_date"}:
        message = "A day and a time of day make a moment together only where the day stands in one field, as a date."
        raise complain(("incremental", "clock"), message)
    return TimeField((*paths, field_path_of(found["clock"])), form, zone, together=True)


def _by_token(found: Mapping[str, Any], preset: Preset, complain: Complain) -> Incremental:
    if not preset.by_manifest:
        raise complain(("incremental", "kind"), "A system of this protocol knows no tokens.")
    if "token" not in found:
        message = "incremental needs the token: where the last page says what the next window begins with."
        raise complain(("incremental",), message)
    for key in ("field", "clock", "until_param", "overlap", "lag", "precision", "zone", "ordered", "nulls"):
        if key in found:
            raise complain(
                ("incremental", key), f"{key} says nothing of a token, which only the system can read."
            )
    if "param" in found and "header" in found:
        message = "A token is said by a parameter (param) or by a header of requests (header): one of them."
        raise complain(("incremental", "header"), message)
    if "template" in found and not {"param", "header"} & found.keys():
        message = "template says what param or header holds, and neither is named."
        raise complain(("incremental", "template"), message)
    expired, header = found.get("expired", {}), found.get("header")
    place = None if header_of(found["token"]) is not None else field_path_of(found["token"])
    unchanged = found.get("unchanged", NOTHING_NEW if header is not None else ())
    statuses = expired.get("status", TOKEN_REFUSED)
    words = tuple(word.lower() for word in expired.get("words", ()))
    return Incremental(
        TimeField((), "token"),
        found.get("param"),
        None,
        found.get("template", "{value}"),
        token=Token(place, frozenset(statuses), words, header, frozenset(unchanged)),
    )
