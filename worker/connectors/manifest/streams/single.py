"""How is one record asked for, and which records alone? The manifest's `single:` and `filters:` of a stream.

single: {path: "/api/v1/parts/{key}", record: data}     # left out of it: the stream's own path, the answer itself
single: {path: "/sites/{0}/parts/{1}"}                  # of a key of several fields
filters: [status, site_id]                              # parameters; for tryton, fields
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from worker.connectors.manifest.templates import as_text, fill_path
from worker.connectors.reading.keys import parts_of
from worker.connectors.reading.shape import FieldPath, field_path_of
from worker.connectors.requests.conditions import Condition
from worker.connectors.requests.templates import names_of
from worker.errors import BadRecord, InvalidInput
from worker.parsing.documents import suggest

ABSENT = (404, 410)
KEY = "{key}"
_OF_THE_KEY = re.compile(r"\{(key|[0-9]{1,2})\}")

Complain = Callable[[Sequence[str], str], Exception]


@dataclass(frozen=True, slots=True)
class Single:
    """How a system is asked for one record."""

    path: str
    record: FieldPath
    absent: frozenset[int]
    params: Mapping[str, str | Sequence[str]] | None = None
    """Instead of those that the stream's other requests carry; None: the same."""
    method: str = "GET"
    body: Any = None
    """With what stands for the key in it."""
    among: bool = False
    """The answer is a list like the stream's, of that record alone."""
    verbatim: Mapping[str, str] = field(default_factory=dict)
    """Fields of the body whose braces are no names: the query of GraphQL."""
    or_null: bool = False
    """null where the record should be says that there is none."""
    number: bool = False
    """The key is a number where it stands alone in a body or condition of JSON."""
    by: Condition | None = None
    """The condition by which the stream itself is asked for that record alone."""
    quote: str = ""
    """The mark that stands around the key in the path, which is doubled inside of it."""

    fields: int = 1
    """So many make the key."""

    def values(self, key: str) -> dict[str, str | int]:
        """What stands for the key where it is asked for: {key}, or {0} and {1} for the fields that make it."""
        if self.fields > 1:
            return {str(at): part for at, part in enumerate(parts_of(key, self.fields))}
        if not self.number:
            return {"key": key}
        if not key.isdecimal() or len(key) > 18:
            raise BadRecord("bad_key", f"{key[:40]!r} is no number, as the keys of this stream are.")
        return {"key": int(key)}

    def url(self, base_url: str, settings: Mapping[str, Any], values: Mapping[str, str | int]) -> str:
        """Of the record with this key, which can't break out of its place."""
        pieces = _OF_THE_KEY.split(self.path)
        texts = [fill_path(text, settings) for text in pieces[::2]]
        parts = [self._part(values[name]) for name in pieces[1::2]]
        for before, part, behind in zip(texts, parts, texts[1:], strict=False):
            if not part and before.endswith("/") and behind[:1] in {"", "/"}:
                raise BadRecord("bad_key", "An empty text can be no part of a path.")
        return base_url + texts[0] + "".join(map("".join, zip(parts, texts[1:], strict=True)))

    def _part(self, value: str | int) -> str:
        text = as_text(value)
        if text in {".", ".."}:
            raise BadRecord("bad_key", f"{text!r} can be no part of a path.")
        return quote(text.replace(self.quote, self.quote * 2) if self.quote else text, safe="")


def single_of(data: Mapping[str, Any], fields: int = 1) -> Single | None:
    """What a stream says of it, over its manifest's defaults; None: nothing. So many `fields` make its key."""
    found = data.get("single")
    if found is None:
        return None
    among, params = found.get("list", False), found.get("params")
    return Single(
        path=found.get(
            "path", _path_of(data.get("path", ""), own=not among and not {"body", "by"} & found.keys())
        ),
        record=field_path_of(found.get("record", "")),
        absent=frozenset(found.get("absent", ABSENT)),
        params={**data.get("params", {}), **params} if among and params is not None else params,
        among=among,
        method=found.get("method", "POST" if "body" in found else data.get("method", "GET")),
        body=found.get("body"),
        verbatim=found.get("verbatim", {}),
        or_null=found.get("or_null", False),
        number=found.get("number", False),
        quote=found.get("quote", ""),
        by=found.get("by"),
        fields=fields,
    )


def _path_of(path: str, *, own: bool) -> str:
    """Where one record of the list at `path` is asked for; `own`: at a place of its own. Where lists end with /, records do."""
    stem = path.rstrip("/")
    end = "/" if stem and stem != path else ""
    return f"{stem}/{KEY}{end}" if own else path


def check_single(single: Single, complain: Complain) -> None:
    """Raise what `complain` makes of a part of the key that is missing, or is none."""
    said = (single.path if single.by is None else None, single.params, single.body, single.by)
    named = {name for one in said for _, name in names_of(one) if name == "key" or name.isdigit()}
    if single.fields == 1:
        if named - {"key"}:
            raise complain(
                ("single",), f"{_braced(named - {'key'})} is for keys of several fields; this one is {KEY}."
            )
        return
    wanted = {str(at) for at in range(single.fields)}
    if "key" in named:
        raise complain(
            ("single",), f"the key has {single.fields} fields: {_braced(wanted)} stand for them, not {KEY}."
        )
    if named != wanted:
        extra, missing = named - wanted, wanted - named
        why = f"has no field {_braced(extra)}" if extra else f"is asked for without {_braced(missing)}"
        raise complain(("single",), f"the key of {single.fields} fields, {_braced(wanted)}, {why}.")


def _braced(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def check_filters(stream: str, known: Sequence[str], values: Mapping[str, str]) -> None:
    """`InvalidInput` for the first name that the system can't be asked by."""
    for name in values:
        if name not in known:
            names = f"There are: {', '.join(known)}." if known else "Its manifest names no filters."
            raise InvalidInput(
                "unknown_filter",
                f"{stream} can't be asked for by {name!r}. {names}",
                place="filters",
                hint=suggest(name, known) or None if known else None,
            )
