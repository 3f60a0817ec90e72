"""What does an answer look like that nobody described yet? Guesses about records, key, changes and pages. Pure.

Each guess comes with why, for the remark that stands beside it in the manifest: whoever writes the connector decides.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

_KEYS = ("id", "ID", "Id", "uuid", "_id", "pk", "key", "number", "code", "name", "slug")
_CHANGED = re.compile(
    r"^(updated|modified|changed|last_?(modified|updated|changed|edited)|modification|write)_?(at|on|date|time|date_?time)?$|^(update|modify|change)_?(date|time)$",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"^(@odata\.)?(total|count|total_?(count|results|records|items|elements))$", re.IGNORECASE
)
_NEXT_CURSOR = re.compile(
    r"^(next_?(page_?)?(cursor|token)|cursor|end_?cursor|continuation_?token)$", re.IGNORECASE
)
_NEXT_LINK = re.compile(r"^(@odata\.nextlink|next|next_?(page|link|url|page_?url)|__next)$", re.IGNORECASE)
_LISTS = ("data", "results", "items", "records", "value", "rows", "content", "entries", "member")
LONG_AGO = 10**9
"""A number of change from here on counts seconds, or thousandths of them, since 1970."""
_DEEPEST = 4
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d)?")
_PAGING_PARAMS = (
    ("offset", ("offset", "skip", "$skip", "start", "startIndex", "limit_start")),
    ("page", ("page", "pageno", "page_number", "pageNumber", "p")),
)
_SIZES = (
    "limit",
    "_limit",
    "_size",
    "per_page",
    "page_size",
    "pageSize",
    "size",
    "$top",
    "count",
    "max",
    "perPage",
)


@dataclass
class Guess:
    """A stream as an answer suggests it: keys of a manifest's stream, and a remark for each that is unsure."""

    stream: dict[str, Any]
    remarks: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    fields: Sequence[str] = ()


def guess(body: bytes, headers: Mapping[str, str], path: str) -> Guess | None:
    """What the answer of a list suggests; None where no list of objects is in it."""
    try:
        data = json.loads(body)
    except ValueError:
        return None
    found = _best_list(data)
    if found is None:
        return None
    where, rows = found
    stream: dict[str, Any] = {"path": path, "records": _path(where)}
    made = Guess(stream, rows=len(rows), fields=list(rows[0]) if rows else ())
    if not rows:
        made.remarks["records"] = "The list is empty: try again where there are records."
    _guess_key(made, rows)
    _guess_paging(made, data, where, headers)
    _guess_changes(made, rows)
    return made


def _best_list(data: Any) -> tuple[tuple[str, ...], list[Any]] | None:
    lists = [(where, rows) for where, rows in _lists(data, ()) if all(isinstance(row, dict) for row in rows)]
    if not lists:
        return None
    return min(
        lists,
        key=lambda one: (len(one[1]) == 0, len(one[0]), one[0][-1:] not in {(name,) for name in _LISTS}),
    )


def _lists(data: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    if isinstance(data, list):
        yield at, data
    elif isinstance(data, dict) and len(at) < _DEEPEST:
        for name, value in data.items():
            yield from _lists(value, (*at, name))


def _guess_key(made: Guess, rows: Sequence[Mapping[str, Any]]) -> None:
    whole = [name for name in made.fields if all(isinstance(row.get(name), str | int) for row in rows)]
    unique = [name for name in whole if len({str(row[name]) for row in rows}) == len(rows)]
    named = [name for name in _KEYS if name in unique]
    likely = [name for name in unique if name.lower().endswith(("_id", "id", "number", "code"))]
    chosen = next(iter([*named, *likely, *unique, *made.fields]), "id")
    made.stream["key"] = chosen if "." not in chosen else [chosen]
    if not named:
        made.remarks["key"] = "No field is called like a key: which one names a record, for ever and alone?"


def _guess_changes(made: Guess, rows: Sequence[Mapping[str, Any]]) -> None:
    timed = [
        name for name in made.fields if _CHANGED.match(name) and any(_is_time(row.get(name)) for row in rows)
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


def _guess_paging(made: Guess, data: Any, where: tuple[str, ...], headers: Mapping[str, str]) -> None:
    beside = {at: value for at, value in _scalars(data, ()) if at[: len(where)] != where or not where}
    for at, value in beside.items():
        if _TOTAL.match(at[-1]) and isinstance(value, int) and not isinstance(value, bool):
            made.stream["total"] = _path(at)
            break
    if 'rel="next"' in headers.get("link", "") or "rel=next" in headers.get("link", ""):
        made.stream["paging"] = {"next_link": {"header": True}}
        return
    for name, value in headers.items():
        if _NEXT_LINK.match(name.replace("-", "_")) and "/" in value:
            made.stream["paging"] = {"next_link": {"header": name, **_size_in(value)}}
            return
    for at, value in beside.items():
        if _NEXT_LINK.match(at[-1]) and isinstance(value, str) and ("/" in value or "?" in value):
            made.stream["paging"] = {"next_link": {"path": _path(at), **_size_in(value)}}
            return
        if _NEXT_CURSOR.match(at[-1]) and isinstance(value, str) and value:
            made.stream["paging"] = {"cursor": {"param": "cursor", "path": _path(at)}}
            made.remarks["paging"] = (
                "The parameter that takes the cursor is guessed: see the system's documentation."
            )
            return
        if at[-1] == "next" and value is None and len(at) >= 1:
            made.stream["paging"] = {"next_link": {"path": _path(at)}}
            made.remarks["paging"] = "`next` was null, so this is a guess: is it a link?"
            return
    made.remarks["paging"] = (
        "Nothing says how an answer is continued. By page: {page: {param: page, size_param: per_page, size: 100}}; "
        "by offset: {offset: {param: offset, limit_param: limit, size: 100}}."
    )


def _size_in(link: str) -> dict[str, Any]:
    asked = parse_qs(urlsplit(link).query)
    for name in _SIZES:
        if name in asked and asked[name][0].isdigit() and 0 < int(asked[name][0]) <= 100_000:
            return {"size_param": name, "size": int(asked[name][0])}
    return {}


def _scalars(data: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(data, dict) and len(at) < _DEEPEST:
        for name, value in data.items():
            yield from _scalars(value, (*at, name))
    elif at and not isinstance(data, list):
        yield at, data


def _path(at: Sequence[str]) -> str | list[str]:
    return list(at) if any("." in name for name in at) else ".".join(at)


def paging_of_params(names: Sequence[str]) -> dict[str, Any] | None:
    """The way of paging that the names of a list's parameters suggest."""
    size = next((name for name in _SIZES if name in names), None)
    for kind, known in _PAGING_PARAMS:
        param = next((name for name in known if name in names), None)
        if param is not None and size is not None:
            other = {"limit_param": size} if kind == "offset" else {"size_param": size}
            return {kind: {"param": param, **other, "size": 100}}
    cursor = next(
        (name for name in names if _NEXT_CURSOR.match(name) or name in {"after", "page_token"}), None
    )
    return {"cursor": {"param": cursor, "path": "next_cursor"}} if cursor else None


def changed_param(names: Sequence[str]) -> str | None:
    """The parameter that asks for changes, where one is called so."""
    wanted = re.compile(
        r"^(updated|modified|changed|last_?modified)[_\[]?.*(since|after|from|gte?|min)\]?$", re.IGNORECASE
    )
    return next((name for name in names if wanted.match(name)), None)
