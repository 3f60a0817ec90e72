"""What does an answer look like that nobody described yet? Guesses about records, key, changes and pages. Pure.

Each guess comes with why, for the remark that stands beside it in the manifest: whoever writes the connector decides.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from scheduler.connectors.kit import names
from scheduler.connectors.kit.names import Param

LONG_AGO = 10**9
"""A number of change from here on counts seconds, or thousandths of them, since 1970."""
_DEEPEST = 4
_NAMES_OF_COLUMNS = ("name", "field", "key", "id", "title", "label")
_BESIDE = 3
"""The rank of lists that say something of the list."""
_SIZE = range(1, 100_001)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d)?")
_LINK = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next\b')
HOW = (
    "By page: {page: {param: page, size_param: per_page, size: 100}}; "
    "by offset: {offset: {param: offset, limit_param: limit, size: 100}}."
)


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
    except ValueError:
        return None
    called = name_in(path)
    ranked = ranked_lists(data, called)
    if not ranked or ranked[0].holds == "others":
        return None
    best = ranked[0]
    made = Guess({"path": path, "records": _path(best.at)}, rows=len(best.rows))
    _remark_records(made, best, ranked)
    rows = best.rows if best.holds == "objects" else _as_objects(made, data, best)
    made.fields = list(rows[0]) if rows else ()
    _guess_key(made, rows or [], called)
    _guess_paging(made, _Answer(data, best, headers, [Param(name) for name in asked]))
    _guess_changes(made, rows or [])
    return made


def name_in(path: str) -> str:
    """What a path calls its list: its last part that is no place, without an ending."""
    parts = [part for part in path.strip("/").split("/") if part and "{" not in part]
    return re.sub(r"\.(json|xml)$", "", parts[-1]) if parts else ""


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

    return sorted((Found(at, rows) for at, rows in _lists(data, ())), key=rank)


def _lists(data: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    if isinstance(data, list):
        yield at, data
    elif isinstance(data, dict) and len(at) < _DEEPEST:
        for name, value in data.items():
            yield from _lists(value, (*at, name))


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
    made.stream["records"] = {"rows": _path(best.at), "columns": where}
    made.remarks["records"] = "Its records are lists: are the names of their places right, and in this order?"
    return [dict(zip(fields, row, strict=True)) for row in rows]


def _columns(data: Any, best: Found) -> Iterator[tuple[str | list[str], list[str]]]:
    """Lists that may name the columns: of texts, or of objects that hold a name."""
    for at, names_ in _lists(data, ()):
        if at == best.at or not names_:
            continue
        if all(isinstance(name, str) for name in names_):
            yield _path(at), names_
        for key in _NAMES_OF_COLUMNS:
            if all(isinstance(one, dict) and isinstance(one.get(key), str) for one in names_):
                yield _path((*at, "*", key)), [one[key] for one in names_]


def _guess_changes(made: Guess, rows: Sequence[Mapping[str, Any]]) -> None:
    timed = [
        name
        for name in made.fields
        if names.is_changed(name) and any(_is_time(row.get(name)) for row in rows)
    ]
    if not timed:
        made.remarks["streams"] = "No field seems to say when a record changed: all of it is read each time."
        return
    sample = next(row[timed[0]] for row in rows if _is_time(row.get(timed[0])))
    form = None if isinstance(sample, str) else "epoch_ms" if sample > LONG_AGO * 100 else "epoch_s"
    made.stream["updated_at"] = timed[0] if form is None else {"field": timed[0], "format": form}
    made.remarks["updated_at"] = (
        "Can the system be asked for what changed since? Then: "
        f"incremental: {{field: {timed[0]}, param: NAME_OF_THE_PARAMETER}}; add overlap where changes show late."
    )


def _is_time(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return value > LONG_AGO
    return isinstance(value, str) and _ISO.match(value) is not None


class _Answer:
    """An answer, what stands beside its list, and what was asked for."""

    def __init__(self, data: Any, best: Found, headers: Mapping[str, str], asked: Sequence[Param]) -> None:
        self.headers, self.asked, self.rows = headers, asked, len(best.rows)
        self.beside = {
            at: value for at, value in _scalars(data, ()) if at[: len(best.at)] != best.at or not best.at
        }


def _guess_paging(made: Guess, answer: _Answer) -> None:
    total = _total_of(answer)
    if total is not None:
        made.stream["total"] = _path(total)
    if (link := _link_header(answer.headers)) is not None:
        made.stream["paging"] = {"next_link": {"header": True, **_size_in(link)}}
        return
    for name, value in answer.headers.items():
        if names.plain(name).startswith("next") and "/" in value:
            made.stream["paging"] = {"next_link": {"header": name, **_size_in(value)}}
            return
    found = _next_in_body(answer) or _counted(answer)
    if found is None:
        made.remarks["paging"] = f"Nothing says how an answer is continued. {HOW}"
        return
    made.stream["paging"], remark = found
    if remark:
        made.remarks["paging"] = remark


def _next_in_body(answer: _Answer) -> tuple[dict[str, Any], str] | None:
    for at, value in answer.beside.items():
        named = names.next_link_at(at) or names.next_either_at(at)
        if named and isinstance(value, str) and ("/" in value or "?" in value):
            return {"next_link": {"path": _path(at), **_size_in(value)}}, ""
    for at, value in answer.beside.items():
        if not (names.next_cursor_at(at) or names.next_either_at(at)):
            continue
        if isinstance(value, int) and names.counted_paging(answer.asked) is not None:
            return None  # the number of a page, which the parameters say themselves
        if value and isinstance(value, str | int) and not isinstance(value, bool):
            param = names.cursor_param(answer.asked)
            usual = "page" if isinstance(value, int) else "cursor"
            words = {"param": param.name if param else usual, "path": _path(at)}
            said = "The parameter that takes it is guessed: see the system's documentation."
            return {"cursor": names.with_size(words, answer.asked)}, said
        if value is None and names.next_either_at(at):
            said = f"`{at[-1]}` was null, so this is a guess: is it a link?"
            return {"next_link": {"path": _path(at)}}, said
    return None


def _counted(answer: _Answer) -> tuple[dict[str, Any], str] | None:
    """By the parameters that were sent, or by numbers beside the list that are called like some."""
    if (paging := names.counted_paging(answer.asked)) is not None:
        return paging, "Guessed by the parameters: is the first page 1 or 0, and how large may a page be?"
    numbers = [
        Param(at[-1], usual=value)
        for at, value in answer.beside.items()
        if isinstance(value, int) and not isinstance(value, bool) and not names.is_total(at[-1])
    ]
    if names.size_param(numbers) is None or (paging := names.counted_paging(numbers)) is None:
        return None
    return paging, (
        "Guessed by the numbers beside the list: are the parameters called so, too, and how large may a page be?"
    )


def _total_of(answer: _Answer) -> tuple[str, ...] | None:
    """What counts all of them: `count` alone often counts those of the page."""
    found = [
        at
        for at, value in answer.beside.items()
        if names.is_total(at[-1])
        and isinstance(value, int)
        and not isinstance(value, bool)
        and value >= answer.rows
    ]
    return min(found, key=lambda at: (names.plain(at[-1]) == "count", len(at)), default=None)


def _link_header(headers: Mapping[str, str]) -> str | None:
    found = _LINK.search(headers.get("link", ""))
    return found[1] if found else None


def _size_in(link: str) -> dict[str, Any]:
    asked = parse_qs(urlsplit(link).query)
    for name, values in asked.items():
        if names.is_size(name) and values[0].isdigit() and int(values[0]) in _SIZE:
            return {"size_param": name, "size": int(values[0])}
    return {}


def _scalars(data: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(data, dict) and len(at) < _DEEPEST:
        for name, value in data.items():
            yield from _scalars(value, (*at, name))
    elif at and not isinstance(data, list):
        yield at, data


def _path(at: Sequence[str]) -> str | list[str]:
    return list(at) if any("." in name for name in at) else ".".join(at)
