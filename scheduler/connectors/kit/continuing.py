"""How does an answer say that its list goes on, and how many there are in all? Guessed by names and values. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from scheduler.connectors.kit import names
from scheduler.connectors.kit.names import Param
from scheduler.connectors.kit.places import At, as_path, lists_in, scalars_in
from worker.connectors.paging.links import are_links, link_among

_SIZE = range(1, 100_001)
_LINK = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next\b')
HOW = (
    "By page: {page: {param: page, size_param: per_page, size: 100}}; "
    "by offset: {offset: {param: offset, limit_param: limit, size: 100}}."
)


class Answer:
    """An answer, what stands beside its list, and what was asked for."""

    def __init__(
        self, data: Any, listed: At, rows: int, headers: Mapping[str, str], asked: Sequence[Param]
    ) -> None:
        self.headers, self.asked, self.rows = headers, asked, rows
        self.lists = {at: found for at, found in lists_in(data) if at and at != listed}
        self.beside = {
            at: value for at, value in scalars_in(data) if at[: len(listed)] != listed or not listed
        }


def paging_of(answer: Answer) -> tuple[dict[str, Any] | None, str]:
    """How the list seems to be continued (None: nothing says so), and what is unsure of that."""
    if (link := _link_header(answer.headers)) is not None:
        return {"next_link": {"header": True, **_size_in(link)}}, ""
    for name, value in answer.headers.items():
        if names.plain(name).startswith("next") and "/" in value:
            return {"next_link": {"header": name, **_size_in(value)}}, ""
    found = _next_in_body(answer) or _counted(answer)
    return found or (None, f"Nothing says how an answer is continued. {HOW}")


def _next_in_body(answer: Answer) -> tuple[dict[str, Any], str] | None:
    for at, value in answer.beside.items():
        named = names.next_link_at(at) or names.next_either_at(at)
        if named and isinstance(value, str) and ("/" in value or "?" in value):
            return {"next_link": {"path": as_path(at), **_size_in(value)}}, ""
    for at, links in answer.lists.items():
        if are_links(links) and isinstance(link := link_among(links), str):
            return {"next_link": {"path": as_path(at), **_size_in(link)}}, ""
    for at, value in answer.beside.items():
        if not (names.next_cursor_at(at) or names.next_either_at(at)):
            continue
        if isinstance(value, int) and names.counted_paging(answer.asked) is not None:
            return None  # the number of a page, which the parameters say themselves
        if value and isinstance(value, str | int) and not isinstance(value, bool):
            param = names.cursor_param(answer.asked)
            usual = "page" if isinstance(value, int) else "cursor"
            words = {"param": param.name if param else usual, "path": as_path(at)}
            said = "The parameter that takes it is guessed: see the system's documentation."
            return {"cursor": names.with_size(words, answer.asked)}, said
        if value is None and names.next_either_at(at):
            said = f"`{at[-1]}` was null, so this is a guess: is it a link?"
            return {"next_link": {"path": as_path(at)}}, said
    return None


def _counted(answer: Answer) -> tuple[dict[str, Any], str] | None:
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


def total_of(answer: Answer) -> str | list[str] | dict[str, str] | None:
    """Where all of them are counted: `count` alone often counts those of the page."""
    found = [
        at
        for at, value in answer.beside.items()
        if names.is_total(at[-1])
        and isinstance(value, int)
        and not isinstance(value, bool)
        and value >= answer.rows
    ]
    if found:
        return as_path(min(found, key=lambda at: (names.plain(at[-1]) == "count", len(at))))
    counted = (name for name, value in answer.headers.items() if names.counts_all(name) and value.isdecimal())
    return next(({"header": name} for name in counted), None)


def _link_header(headers: Mapping[str, str]) -> str | None:
    found = _LINK.search(headers.get("link", ""))
    return found[1] if found else None


def _size_in(link: str) -> dict[str, Any]:
    asked = parse_qs(urlsplit(link).query)
    for name, values in asked.items():
        if names.is_size(name) and values[0].isdigit() and int(values[0]) in _SIZE:
            return {"size_param": name, "size": int(values[0])}
    return {}
