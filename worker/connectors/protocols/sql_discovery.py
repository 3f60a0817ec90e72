"""Which streams could be made of a database's tables and views? What it says of their columns, keys and indexes decides."""

import re

import msgspec

from worker.connectors.contract import Discovery, Found, Request
from worker.connectors.protocols.sql_asking import (
    DISCOVER,
    Discovering,
    FoundColumn,
    FoundTable,
    FoundTables,
)
from worker.connectors.protocols.sql_settings import SqlSettings

MANY_ROWS = 100_000
"""From so many rows on, reading without an index is worth a remark."""
_CHANGED = (
    "updated_at",
    "modified_at",
    "changed_at",
    "last_modified",
    "last_updated",
    "write_date",
    "modified",
    "updated",
)
"""What columns are mostly called that say when a row changed, the surest first."""
_SOUNDS_CHANGED = re.compile(r"updated?|modif|chang|last_?upd|write_?date|mtime", re.IGNORECASE)
_NUMBERS = ("rowversion", "row_version", "version_no", "change_no", "sequence_no", "scn", "lsn")
_FORMATS = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "datetime"),
    (re.compile(r"\d{4}-\d\d-\d\d$"), "date"),
)
_LONGEST_NAME = 63


def discovering(settings: SqlSettings) -> Discovery:
    """Asks once: the database keeps a list."""
    asked = Discovering(settings.schema, settings.seconds)
    answer = yield Request(DISCOVER, settings.schema or "all schemas", body=msgspec.json.encode(asked))
    told = msgspec.json.decode(answer.body, type=FoundTables)
    names: set[str] = set()
    found = [_found(table, settings.schema, names) for table in told.tables]
    if told.left_out and found:
        found[-1] = _remarked(
            found[-1], f"There are {told.left_out} more tables; name a schema to see fewer."
        )
    return found


def _remarked(found: Found, remark: str) -> Found:
    return Found(
        found.name,
        found.title,
        found.describe,
        found.key,
        found.cursor,
        found.fields,
        [*found.remarks, remark],
    )


def _found(table: FoundTable, schema: str, names: set[str]) -> Found:
    remarks: list[str] = []
    key = _key(table, remarks)
    cursor = _cursor(table, remarks)
    whole = table.name if table.schema in {"", schema} else f"{table.schema}.{table.name}"
    dotted = "." in table.name or "." in table.schema
    parts = [part for part in (table.schema, table.name) if part]
    describe: dict[str, object] = {"table": parts if dotted else whole}
    describe["key"] = _path(key[0]) if len(key) == 1 else [_path(name) for name in key]
    if not key:
        del describe["key"]
    if cursor is not None:
        incremental: dict[str, object] = {"field": _path(cursor.name)}
        if cursor.kind == "number":
            incremental["kind"] = "number"
        elif (form := _format(cursor)) != "iso8601":
            incremental["format"] = form
        if not cursor.indexed:
            incremental["ordered"] = False
        describe["incremental"] = incremental
    if table.rows is not None:
        remarks.append(f"About {table.rows} rows.")
    if table.comment:
        remarks.append(table.comment[:200])
    return Found(
        name=_name(table, names),
        title=table.name,
        describe=describe,
        key=key,
        cursor=None if cursor is None else cursor.name,
        fields=tuple(column.name for column in table.columns),
        remarks=tuple(remarks),
    )


def _key(table: FoundTable, remarks: list[str]) -> tuple[str, ...]:
    if table.key:
        return table.key
    nullable = {column.name for column in table.columns if column.nullable}
    sure = [columns for columns in table.unique if not nullable & {*columns}]
    if sure:
        shortest = min(sure, key=len)
        remarks.append(f"It has no primary key; {', '.join(shortest)} is unique.")
        return shortest
    named = next((column.name for column in table.columns if column.name.lower() == "id"), None)
    what = "A view" if table.view else "It"
    if named is not None:
        remarks.append(
            f"{what} says no key; {named} is taken for one: make sure that it is unique and never null."
        )
        return (named,)
    remarks.append(f"{what} says no key: name the columns that are one together.")
    return ()


def _cursor(table: FoundTable, remarks: list[str]) -> FoundColumn | None:
    """The column that most surely says when a row changed."""
    ranked = sorted(
        (
            (rank, not column.indexed, column)
            for column in table.columns
            if (rank := _rank(column)) is not None
        ),
        key=lambda entry: entry[:2],
    )
    if not ranked:
        remarks.append("No column seems to say when a row changed, so all of it is read each time.")
        return None
    cursor = ranked[0][2]
    if not cursor.indexed:
        size = "" if table.rows is None or table.rows < MANY_ROWS else f", and it has about {table.rows} rows"
        remarks.append(f"No index begins with {cursor.name}{size}: each run looks through all of the table.")
    if cursor.kind == "time":
        remarks.append(f"{cursor.name} keeps no time zone: say `zone` where it isn't UTC.")
    if cursor.nullable:
        remarks.append(
            f"{cursor.name} may be null: such rows come with the first load, and their changes never."
        )
    remarks.append(f"Make sure that every change sets {cursor.name}.")
    return cursor


def _rank(column: FoundColumn) -> int | None:
    name = column.name.lower()
    if column.kind == "number":
        return 200 if name in _NUMBERS else None
    timed = column.kind in {"time", "zoned"} or (column.sample is not None and _format(column) != "")
    if not timed:
        return None
    if name in _CHANGED:
        return _CHANGED.index(name)
    return 100 if _SOUNDS_CHANGED.search(column.name) else None


def _format(column: FoundColumn) -> str:
    """How its times are written: as ISO, unless what stands in it says otherwise. Empty: it isn't to be seen."""
    if column.sample is None:
        return "iso8601"
    if isinstance(column.sample, int):
        return "epoch_ms" if column.sample > 10**11 else "epoch_s" if column.sample > 10**8 else ""
    if re.match(r"\d{4}-\d\d-\d\dT", column.sample):
        return "iso8601"
    return next((form for shape, form in _FORMATS if shape.match(column.sample)), "")


def _path(name: str) -> str | list[str]:
    return [name] if "." in name else name


def _name(table: FoundTable, names: set[str]) -> str:
    """As streams are called, each once."""
    plain = re.sub(r"[^a-z0-9]+", "_", table.name.lower()).strip("_") or "table"
    plain = plain if plain[0].isalpha() else f"t_{plain}"
    several = [plain, re.sub(r"[^a-z0-9]+", "_", f"{plain}_{table.schema}".lower())]
    several += [f"{plain[:55]}_{number}" for number in range(2, 2000)]
    chosen = next(name[:_LONGEST_NAME] for name in several if name[:_LONGEST_NAME] not in names)
    names.add(chosen)
    return chosen
