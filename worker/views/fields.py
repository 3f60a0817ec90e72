"""What do records hold? Types by path, from records themselves: for streams whose fields nobody has noted yet.

Pure. The words for types are those of `stream_fields`.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from worker.parsing.sent_json import read_sent
from worker.views.sql.columns import ENTRY, Path

MOST_PATHS = 2000
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?( ?([Zz]|[-+]\d\d(:?\d\d)?))?\Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


def seen_in(raws: Iterable[str]) -> dict[Path, set[str]]:
    """The fields of some records as they were sent, one level of objects and of lists of objects below them, too."""
    seen: dict[Path, set[str]] = {}
    for raw in raws:
        record = read_sent(raw)
        if isinstance(record, dict):
            _note(record, (), seen, depth=0)
    return seen


def _note(record: dict[str, Any], around: Path, seen: dict[Path, set[str]], *, depth: int) -> None:
    for name, value in record.items():
        path = (*around, name)
        if path not in seen and len(seen) >= MOST_PATHS:
            continue
        seen.setdefault(path, set()).add(type_of(value))
        if depth:
            continue
        if isinstance(value, dict):
            _note(value, path, seen, depth=1)
        elif isinstance(value, list):
            for entry in value:
                if isinstance(entry, dict):
                    _note(entry, (*path, ENTRY), seen, depth=1)


def type_of(value: Any) -> str:
    """The word for what a value is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, dict):
        return "object"
    return "list" if isinstance(value, list) else _type_of_text(value)


def _type_of_text(text: str) -> str:
    try:
        if _DATE.match(text):
            date.fromisoformat(text)
            return "date"
        if _TIME.match(text):
            datetime.fromisoformat(text[:10])
            return "time"
    except ValueError:
        pass
    return "text"
