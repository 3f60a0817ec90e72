"""The command that shows the copy itself, written out as it is read."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Self

import typer

from scheduler.cli import elsewhere
from scheduler.cli.output import AsJson, note, print_table
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.resolve import find_connection, find_stream
from scheduler.keeping.moment import parse_moment
from scheduler.keeping.reading import read_records
from scheduler.keeping.versions import records_as_of

LIMIT = 50
LOOK_AHEAD = 200
"""So many records are looked at to find the columns of a CSV."""

Row = Mapping[str, Any]


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(records)


def records(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    stream: Annotated[str, typer.Argument(help="The stream's name.")],
    *,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="One JSON object a line, the record as it was sent.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A column for each field of the record.")] = False,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = LIMIT,
    everything: Annotated[bool, typer.Option("--all", help="All of them, whatever --limit says.")] = False,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Those that are gone at the system, too.")
    ] = False,
    as_of: Annotated[
        str | None, typer.Option(help="As they were then: 2026-11-01T14:00Z, or 2h for two hours ago.")
    ] = None,
) -> None:
    """Show the records of a stream, in the order of their keys.

    With --as-of, what the copy held at a time, where versions are kept (keep_versions in the connections file).

    Example: headrace records plant work_orders --all --csv > work_orders.csv
    """
    if sum((jsonl, as_csv, as_json)) > 1:
        raise typer.BadParameter("Choose one of --jsonl, --csv and --json.")
    most = None if everything else limit
    with _read(connection, stream, most, deleted=deleted, as_of=as_of) as read:
        rows = _Counted(read, most)
        if jsonl:
            _write_lines(rows)
        elif as_csv:
            _write_csv(rows)
        elif as_json:
            _write_array(rows)
        else:
            _print(rows)
    if rows.more:
        note(f"These are the first {limit:,}; --all shows all of them.")


@contextmanager
def _read(
    connection: str, stream: str, limit: int | None, *, deleted: bool, as_of: str | None
) -> Iterator[Iterator[Row]]:
    """The records, one more than `limit` where there is one, from the database or from an API elsewhere."""
    settings = command_settings()
    with elsewhere.elsewhere(settings) as api:
        if api is not None:
            found = api.records(connection, stream, deleted=deleted, as_of=as_of)
            yield elsewhere.record_rows(found)
            return
    most = None if limit is None else limit + 1
    with open_database(settings) as database:
        row = find_stream(database, find_connection(database, connection), stream)
        if as_of is None:
            yield read_records(database, row, deleted=deleted, limit=most)
        else:
            at = parse_moment(as_of, datetime.now(UTC))
            yield records_as_of(database, row, at, deleted=deleted, limit=most)


class _Counted:
    """The first so many of the rows; `more` says whether there was another one."""

    def __init__(self, rows: Iterator[Row], most: int | None) -> None:
        self._rows = rows
        self._most = most
        self.more = False

    def __iter__(self) -> Iterator[Row]:
        for number, row in enumerate(self._rows):
            if number == self._most:
                self.more = True
                return
            yield row


def as_line(row: Row) -> str:
    """One line of JSON. The record stands in it as its system sent it, digits and order and all."""
    facts = {
        "key": row["key"],
        "version": row["version"],
        "source_updated_at": _time(row["source_updated_at"]),
        "observed_at": _time(row["observed_at"]),
        "deleted_at": _time(row["deleted_at"]),
    }
    raw = row["raw"].replace("\r", " ").replace("\n", " ")  # in JSON these stand between values only
    return f'{json.dumps(facts, ensure_ascii=False)[:-1]}, "record": {raw}}}'


def _write_lines(rows: _Counted) -> None:
    for row in rows:
        sys.stdout.write(as_line(row) + "\n")


def _write_array(rows: _Counted) -> None:
    separator = "[\n  "
    for row in rows:
        sys.stdout.write(separator + as_line(row))
        separator = ",\n  "
    sys.stdout.write("[]\n" if separator.startswith("[") else "\n]\n")


def _write_csv(rows: _Counted) -> None:
    """Columns are found in the first records; what later ones have beyond them stands in the last column as JSON."""
    stream = iter(rows)
    first = [row for _, row in zip(range(LOOK_AHEAD), stream, strict=False)]
    fields = list(dict.fromkeys(name for row in first for name in _fields(row)))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["key", "deleted_at", *fields, "_more"])
    for rows_ in (first, stream):
        for row in rows_:
            found = _fields(row)
            values = [_csv_value(found.pop(name, None)) for name in fields]
            more = json.dumps(found, ensure_ascii=False) if found else ""
            writer.writerow([row["key"], _time(row["deleted_at"]) or "", *values, more])


def _print(rows: _Counted) -> None:
    listed = list(rows)
    table = (
        [
            row["key"],
            row["source_updated_at"] or row["observed_at"],
            "gone" if row["deleted_at"] else "",
            _short(row),
        ]
        for row in listed
    )
    print_table(["key", "changed", "", "record"], table, empty="No records yet.")


def _short(row: Row, most: int = 160) -> str:
    text = json.dumps(_fields(row), ensure_ascii=False)
    return text if len(text) <= most else text[: most - 1] + "…"


def _fields(row: Row) -> dict[str, Any]:
    found = json.loads(row["raw"], parse_float=_Digits)
    return found if isinstance(found, dict) else {"value": found}


class _Digits(float):
    """A number that is written as it was read: 1.10 stays 1.10."""

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __repr__(self) -> str:
        return self.text


def _csv_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, _Digits) else json.dumps(value, ensure_ascii=False)


def _time(value: Any) -> str | None:
    return None if value is None else value.isoformat().replace("+00:00", "Z")
