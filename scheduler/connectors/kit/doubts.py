"""Was all of it read, or does it only look so? What of a trial's pages a person should look at. Pure.

A system that sends fewer records than were asked for, or names its next page elsewhere than a manifest looks for it, seems
to have come to its end. Nothing here is certain: each doubt says what was seen, and what it may mean.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from scheduler.connectors.kit.guessing import guess
from scheduler.connectors.kit.places import scalars_in
from worker.connectors.contract import Page, Response
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.paging.chained import Chained, OnePage
from worker.connectors.reading.shape import FieldPath

ROUND = frozenset({*range(10, 101, 10), 25, 75, 120, *range(150, 501, 50), 1000, 1500, 2000, 5000, 10_000})
"""Systems like to send so many at once."""


@dataclass(frozen=True, slots=True)
class Came:
    """A page as it came, and the answer that held it."""

    page: Page
    response: Response

    @property
    def entries(self) -> int:
        """How many its list holds, good or bad."""
        page = self.page
        if page.listed is not None:
            return len(page.listed.marks)
        return len(page.records) + len(page.rejected) + len(page.gone)


def doubts(spec: StreamManifest, came: Sequence[Came], *, whole: bool) -> list[str]:
    """What to look at. `whole`: the stream was asked for without bounds, so a total counts what should have come."""
    if not came:
        return []
    found = [*_sizes(spec, came), *_repeated(spec, came)]
    total, read = _total(came), len({key for one in came for key in one.page.keys})
    settled = total is not None and total <= read and len(came) > 1
    if came[-1].page.next is None and not settled:
        found += _ends(spec, came)
        found += _too_few(total, max(read, came[0].entries if len(came) == 1 else 0)) if whole else ()
    return [*found, *_no_total(spec, came)]


def doubts_of_one(spec: StreamManifest, came: Came, key: str) -> list[str]:
    """What to look at where one record was asked for: an absence, and an answer that holds it elsewhere."""
    if came.page.gone:
        said = f"The system says that there is no such record ({came.response.status})."
        return [f"{said} If the list holds it, `single` asks wrongly, and re-reads would bury it."]
    if came.page.records or len(spec.shape.key) != 1:
        return []
    found = _record_at(came.response.body, spec.shape.key[0], key)
    return (
        [f"The record stands at {'.'.join(found)}: single: {{record: {'.'.join(found)}}}."] if found else []
    )


def _record_at(body: bytes, path: FieldPath, key: str) -> FieldPath | None:
    """Where an answer holds what has this key."""
    try:
        data = json.loads(body)
    except ValueError:
        return None
    found = (
        at[: -len(path)] for at, value in scalars_in(data) if at[-len(path) :] == path and str(value) == key
    )
    return next((at for at in found if at), None)


def _sizes(spec: StreamManifest, came: Sequence[Came]) -> Iterator[str]:
    size, most = _size(spec), max(one.entries for one in came)
    if 0 < size < most:
        named = _size_param(spec)
        why = (
            f"{named} isn't heeded, or is called otherwise"
            if named
            else "nothing asks for so many (size_param)"
        )
        yield f"{most:,} came on a page, and the manifest says {size:,}: {why}."


def _repeated(spec: StreamManifest, came: Sequence[Came]) -> Iterator[str]:
    for number, (one, following) in enumerate(pairwise(came), start=2):
        if following.page.keys and set(following.page.keys) == set(one.page.keys) and following.entries > 1:
            param = getattr(spec.paging, "param", None)
            why = (
                f"{param} isn't heeded, or is called otherwise"
                if param
                else "its link leads to the same page"
            )
            yield f"Page {number} held the same records as the one before it: {why}."
            return


def _ends(spec: StreamManifest, came: Sequence[Came]) -> Iterator[str]:
    """How what was read last came to be the end."""
    last, paging, size = came[-1], spec.paging, _size(spec)
    if isinstance(paging, OnePage):
        if (seen := _paging_in(last)) is not None:
            yield f"No paging is declared, and the answer looks as if it were continued: {_flow(seen)}."
        elif len(came) == 1 and last.entries in ROUND:
            yield f"No paging is declared, and exactly {last.entries:,} came: the system may send no more than that at once."
        return
    full = last.entries >= size if size else last.entries in ROUND
    said = paging.more is not None or (spec.asked.told is not None and spec.asked.told.more is not None)
    if isinstance(paging, Chained) and last.entries and full and not said:
        seen = _paging_in(last)
        instead = f" It seems to be named otherwise: {_flow(seen)}." if seen else ""
        yield (
            f"The last page was full ({last.entries:,}) and named no next one: is it the end, or does paging look in the "
            f"wrong place?{instead}"
        )
    short = 0 < last.entries < size and last.entries in ROUND and not getattr(paging, "until_empty", False)
    if short and len(came) == 1 and not isinstance(paging, Chained):
        yield (
            f"{last.entries:,} came where {size:,} were asked for, which counts as the end: if the system sends no more than "
            f"that at once, say size: {last.entries}, or until_empty: true."
        )


def _too_few(total: int | None, read: int) -> Iterator[str]:
    if total is not None and total > read:
        yield f"The system says that there are {total:,} in all, and {read:,} came: how is its list continued?"


def _total(came: Sequence[Came]) -> int | None:
    return next((one.page.in_all for one in reversed(came) if one.page.in_all is not None), None)


def _no_total(spec: StreamManifest, came: Sequence[Came]) -> Iterator[str]:
    header = None if spec.asked.told is None else spec.asked.told.total
    where = header or ".".join(spec.shape.total or ())
    if where and all(one.page.total is None for one in came):
        yield f"total is declared at {where}, and no number came there."


def _paging_in(one: Came) -> Mapping[str, Any] | None:
    """What an answer itself says of its next page, where there seems to be one."""
    found = guess(one.response.body, one.response.headers, "")
    if found is None or "paging" in found.remarks:
        return None
    paging: Mapping[str, Any] | None = found.stream.get("paging")
    return paging


def _flow(paging: Mapping[str, Any]) -> str:
    ((kind, words),) = paging.items()
    inner = ", ".join(
        f"{name}: {str(value).lower() if value is True else value}" for name, value in words.items()
    )
    return f"paging: {{{kind}: {{{inner}}}}}"


def _size(spec: StreamManifest) -> int:
    return int(getattr(spec.paging, "size", 0) or 0)


def _size_param(spec: StreamManifest) -> str | None:
    return getattr(spec.paging, "size_param", None) or getattr(spec.paging, "limit_param", None)
