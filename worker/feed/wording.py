"""How does a change look outside? As one line of JSON: fields are added here, never changed or removed.

The record stands in it as its system sent it, digits and order and all; of an erased one there is none.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from worker.feed.reading import Page, position_of


def change_facts(change: Mapping[str, Any], epoch: int) -> dict[str, Any]:
    """All but the record itself."""
    return {
        "position": str(position_of(change, epoch)),
        "kind": change["kind"],
        "connection": change["connection"],
        "environment": change["environment"],
        "stream": change["stream"],
        "key": change["key"],
        "version": change["version"],
        "time": _time(time_of(change)),
        "source_updated_at": _time(change["source_updated_at"]),
        "deleted_at": _time(change["deleted_at"]),
        "delete_reason": change["delete_reason"],
        "run": str(change["cause_id"]) if change["cause_kind"] == "run" else None,
        "cause": {"kind": change["cause_kind"], "id": str(change["cause_id"])},
    }


def change_json(change: Mapping[str, Any], epoch: int, *, content: bool = True) -> str:
    """The change, with its record unless told otherwise."""
    facts = json.dumps(change_facts(change, epoch), ensure_ascii=False)
    if not content:
        return facts
    raw = "null" if change["raw"] is None else change["raw"].replace("\r", " ").replace("\n", " ")
    return f'{facts[:-1]}, "record": {raw}}}'  # in JSON, line ends stand between values only


def page_json(page: Page, *, content: bool) -> str:
    """A page: the changes, the position that follows, and whether there is more right now."""
    changes = ", ".join(change_json(change, page.feed.epoch, content=content) for change in page.changes)
    more = "true" if page.more else "false"
    return f'{{"changes": [{changes}], "next": "{page.next}", "more": {more}}}'


def time_of(change: Mapping[str, Any]) -> datetime:
    """When it came to be known: when the source was asked, or when the deletion was found."""
    observed: datetime = change["observed_at"]
    return observed if change["deleted_at"] is None else max(observed, change["deleted_at"])


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
