"""What does an answer look like that nobody described yet? Guesses about records, key, changes and pages. Pure.

Each guess comes with why, for the remark that stands beside it in the manifest: whoever writes the connector decides.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scheduler.connectors.kit import names
from scheduler.connectors.kit.continuing import Answer, paging_of, total_of
from scheduler.connectors.kit.names import Param
from scheduler.connectors.kit.places import as_path, lists_in

LONG_AGO = 10**9
"""A number of change from here on counts seconds, or thousandths of them, since 1970."""
_NAMES_OF_COLUMNS = ("name", "field", "key", "id", "title", "label")
_BESIDE = 3
"""The rank of lists that say something of the list."""
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d)?")


@dataclass
class Guess:
    """A stream as an answer suggests it: keys of a manifest's stream, and a remark for each that is unsure."""

    stream: dict[str, Any]
    remarks: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    fields: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A list in an answer."""

    at: tuple[str, ...]
    rows: list[Any]

    @property
    def holds(self) -> Literal["objects", "lists", "others"]:
        """An empty one may hold objects."""
        if all(isinstance(row, dict) for row in self.rows):
            return "objects"
        return "lists" if all(isinstance(row, list) for row in self.rows) else "others"


def guess(body: bytes, headers: Mapping[str, str], path: str, asked: Sequence[str] = ()) -> Guess | None:
    """What the answer of a list suggests; None where no list of records is in it. `asked`: the parameters that were sent."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    called = name_in(path)
    ranked = ranked_lists(data, called)
    if not ranked or ranked[0].holds == "others":
        return None
    best = ranked[0]
    made = Guess({"path": path, "records": as_path(best.at)}, rows=len(best.rows))
    _remark_records(made, best, ranked)
    rows = best.rows if best.holds == "objects" else _as_objects(made, data, best)
    made.fields = list(filter(None, rows[0])) if rows else ()
    _guess_key(made, rows or [], called)
    answer = Answer(data, best.at, len(best.rows), headers, [Param(name) for name in asked])
    if (total := total_of(answer)) is not None:
        made.stream["total"] = total
    paging, doubt = paging_of(answer)
    made.stream |= {"paging": paging} if paging else {}
    made.remarks |= {"paging": doubt} if doubt else {}
    _guess_changes(made, rows or [])
    return made


def name_in(path: str) -> str:
    """What a path calls its list: its last part that is no place and says what it holds, without an ending."""
    parts = [re.sub(r"\.(json|xml)$", "", part) for part in path.strip("/").split("/")]
    parts = [part for part in parts if part and "{" not in part]
    dull = names.LISTS | names.READS
    telling = [part for part in parts if part.lower() not in dull and not names.VERSION.fullmatch(part)]
    return (telling or parts or [""])[-1]


def ranked_lists(data: Any, called: str) -> list[Found]:
    """The lists of an answer, the likeliest first: the one that is called so, then those of usual names, then the longest."""

    def rank(one: Found) -> tuple[Any, ...]:
        name = one.at[-1] if one.at else ""
        if not one.at or names.same_things(name, called):
            tier = 0
        elif name.lower() in names.LISTS:
            tier = 1
        else:
            tier = _BESIDE if any(names.BESIDE.search(part) for part in one.at) else 2
        return (
            tier == _BESIDE,
            one.holds == "others",
            tier,
            one.holds == "lists",
            not one.rows,
            -len(one.rows),
            len(one.at),
        )

    return sorted((Found(at, rows) for at, rows in lists_in(data)), key=rank)


def _remark_records(made: Guess, best: Found, ranked: Sequence[Found]) -> None:
    others = [".".join(one.at) for one in ranked[1:4] if one.rows]
    if not best.rows:
        made.remarks["records"] = "The list is empty: try again where there are records."
    elif others:
        made.remarks["records"] = f"The answer holds other lists, too: {', '.join(others)}. Is this the one?"


def _guess_key(made: Guess, rows: Sequence[Mapping[str, Any]], called: str) -> None:
    whole = [name for name in made.fields if all(isinstance(row.get(name), str | int) for row in rows)]
    unique = [
        name
        for name in whole
        if len({str(row[name]) for row in rows}) == len(rows) and not names.looks_secret(name)
    ]
    named, sure = names.key_among(unique, of=called)
    chosen = named or next(iter(unique), None) or next(iter(made.fields), "id")
    made.stream["key"] = chosen if "." not in chosen else [chosen]
    if named is None:
        made.remarks["key"] = "No field is called like a key: which one names a record, for ever and alone?"
    elif not sure or len(rows) < 2:
        made.remarks["key"] = (
            f"Guessed by its name and {len(rows)} records: does it name a record, for ever and alone?"
        )


def _as_objects(made: Guess, data: Any, best: Found) -> list[dict[str, Any]] | None:
    """Rows that are lists as objects: the names of their places stand beside them, or in the first row. None: nowhere."""
    width, rows = len(best.rows[0]), best.rows
    found = next((each for each in _columns(data, best) if len(each[1]) == width), None)
    if found is None and len(rows) > 1 and all(isinstance(name, str) and name for name in rows[0]):
        first: Any = True
        found, rows = (first, rows[0]), rows[1:]
    if found is None or any(len(row) != width for row in rows):
        made.remarks["records"] = (
            "Its records are lists, and nothing beside them seems to name their places (columns). Can the system be asked "
            "for objects, such as by a parameter?"
        )
        return None
    where, fields = found
    made.stream["records"] = {"rows": as_path(best.at), "columns": where}
    made.remarks["records"] = "Its records are lists: are the names of their places right, and in this order?"
    return [dict(zip(fields, row, strict=True)) for row in rows]


def _columns(data: Any, best: Found) -> Iterator[tuple[str | list[str], list[str]]]:
    """Lists that may name the columns: of texts, or of objects that hold a name."""
    for at, names_ in lists_in(data):
        if at == best.at or not names_:
            continue
        if all(isinstance(name, str) for name in names_):
            yield as_path(at), names_
        for key in _NAMES_OF_COLUMNS:
            if all(isinstance(one, dict) and isinstance(one.get(key), str) for one in names_):
                yield as_path((*at, "*", key)), [one[key] for one in names_]


def _guess_changes(made: Guess, rows: Sequence[Mapping[str, Any]]) -> None:
    found = next(_times_of_change(made.fields, rows), None)
    if found is None:
        made.remarks["streams"] = "No field seems to say when a record changed: all of it is read each time."
        return
    at, sample = found
    field_ = as_path(at)
    form = None if isinstance(sample, str) else "epoch_ms" if sample > LONG_AGO * 100 else "epoch_s"
    made.stream["updated_at"] = field_ if form is None else {"field": field_, "format": form}
    made.remarks["updated_at"] = (
        "Can the system be asked for what changed since? Then: "
        f"incremental: {{field: {field_}, param: NAME_OF_THE_PARAMETER}}; add overlap where changes show late."
    )


def _times_of_change(
    fields: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Fields that seem to say it, and a time that stands there: of the record, then of an object in it."""
    objects = [name for name in fields if any(isinstance(row.get(name), dict) for row in rows)]
    for within in (None, *objects):
        inner = rows if within is None else [row[within] for row in rows if isinstance(row.get(within), dict)]
        for name in dict.fromkeys(name for row in inner for name in row):
            sample = next((row[name] for row in inner if _is_time(row.get(name))), None)
            if names.is_changed(name) and sample is not None:
                yield ((name,) if within is None else (within, name)), sample


def _is_time(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return value > LONG_AGO
    return isinstance(value, str) and _ISO.match(value) is not None
