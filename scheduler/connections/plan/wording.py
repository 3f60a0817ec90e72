"""How is a plan told to people, and to programs?"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scheduler.connections.file.secrecy import secret_paths
from scheduler.connections.options.schedule import format_history, format_schedule
from scheduler.connections.options.table import file_options
from scheduler.connections.options.windows import format_windows
from scheduler.connections.plan.merge import ABSENT, FieldChange, same
from scheduler.connections.plan.model import Change, Kind, Plan
from worker.connectors.describing import DESCRIBE

MARKS: dict[Kind, str] = {
    "created": "+", "changed": "~", "re-fetched": "~", "switched on": "~", "switched off": "~",
    "deleted": "-", "drift": "!", "left alone": "=",
}  # fmt: skip
LONGEST = 80
MOST_PLACES = 6
DEPTH = 2


def plan_lines(plan: Plan) -> list[str]:
    """A line for each change, then the notes, then the summary."""
    return [*(change_line(change) for change in plan.changes), *plan.notes, plan_summary(plan)]


def change_line(change: Change) -> str:
    """`~ Plant North / work_orders: changed schedule: every 15m -> every 1m`."""
    where = change.connection + (f" / {change.stream}" if change.stream else "")
    parts: list[str] = [change.kind]
    if change.kind == "deleted":
        parts = [f"deleted with {change.records:,} records"]
    if change.fields:
        parts.append(", ".join(map(field_words, change.fields)))
    text = f"{MARKS[change.kind]} {where} ({change.environment}): {' '.join(parts)}"
    return f"{text}; {change.note}" if change.note else text


def field_words(change: FieldChange) -> str:
    field = "history" if change.key == ("history_days",) else change.field
    field = field.removeprefix("options.")  # where the row keeps it, and no word of the file's
    if change.key == ("settings", DESCRIBE) and isinstance(change.old, dict) and isinstance(change.new, dict):
        return f"{field}: {_few(list(_differing(change.old, change.new)))}"
    return f"{field}: {_shown(change, change.old)} -> {_shown(change, change.new)}"


def plan_summary(plan: Plan) -> str:
    if not plan.changes_something:
        return "Nothing to change."
    counts: dict[str, int] = {}
    for change in plan.changes:
        counts[change.kind] = counts.get(change.kind, 0) + 1
    text = ", ".join(f"{counts[kind]} {kind}" for kind in MARKS if kind in counts)
    return f"{text}." if plan.applied else f"{text}. Nothing was changed yet."


def plan_json(plan: Plan) -> dict[str, Any]:
    """For `--json`: the same content, values as they are."""
    return {
        "file": plan.file,
        "applied": plan.applied,
        "changes_something": plan.changes_something,
        "changes": [_change_json(change) for change in plan.changes],
        "notes": list(plan.notes),
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "environment": change.environment,
        "connection": change.connection,
        "stream": change.stream,
        "fields": [
            {"field": one.field, "old": _value(one, one.old), "new": _value(one, one.new)}
            for one in change.fields
        ],
        "note": change.note or None,
        "records": change.records if change.kind == "deleted" else None,
    }


def _shown(change: FieldChange, value: Any) -> str:
    if value is ABSENT:
        return "not set"
    if change.key == ("history_days",):
        return format_history(value)
    if change.key == ("schedule",):
        return format_schedule(value)
    if change.key == ("options", "windows"):
        return format_windows(value)
    if change.key[0] == "options":
        value = file_options({change.key[-1]: value}).get(change.key[-1], value)
    value = _value(change, value)
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[str]:
    """Where two descriptions differ, as far down as streams have keys: `streams.parts.key`."""
    for name in sorted({*old, *new}):
        before, after = old.get(name, ABSENT), new.get(name, ABSENT)
        if same(before, after):
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping) and len(at) < DEPTH:
            yield from _differing(before, after, (*at, name))
        else:
            kind = " added" if before is ABSENT else " removed" if after is ABSENT else ""
            yield ".".join((*at, name)) + kind


def _few(words: Sequence[str]) -> str:
    more = f" and {len(words) - MOST_PLACES} more" if len(words) > MOST_PLACES else ""
    return ", ".join(words[:MOST_PLACES]) + more


def _value(change: FieldChange, value: Any) -> Any:
    """A setting that sounds like a secret is refused in a file, but may have been stored from elsewhere."""
    if value is ABSENT:
        return None
    hidden = change.key[0] == "settings" and any(secret_paths({change.key[-1]: value}))
    return "•••" if hidden else value
