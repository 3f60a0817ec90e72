"""The command that writes a stream into a file.

Read in pages by key, so that a stream of millions needs no memory and no transaction stays open. The file appears when it is
whole.
"""

import csv
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from scheduler.cli.output import note
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.resolve import find_connection, find_stream
from worker.db.database import Database
from worker.errors import InvalidInput, NeedsOperator, NotFound
from worker.views.sql.quoting import ident, literal

PAGE = 5000
TOLD_EVERY = 2.0
"""Seconds between two words about how far it is."""

Row = Mapping[str, Any]
Pages = Iterator[Sequence[Row]]


class Format(StrEnum):
    """What the file is to be."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(export)


def export(
    connection: Annotated[str, typer.Argument(help="The connection's name or number.")],
    stream: Annotated[str, typer.Argument(help="The stream's name.")],
    *,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; else it is printed (not Parquet).")
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="Left out: as the file's name ends, else csv.")
    ] = None,
    lines: Annotated[
        str | None, typer.Option("--lines", help="The lines in this field instead of the records.")
    ] = None,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Those that are gone at the system, too.")
    ] = False,
) -> None:
    """Write a stream as CSV, JSON lines or Parquet, with the columns of its SQL view.

    Example: headrace export plant work_orders -o work_orders.csv
    """
    chosen = form or _format_of(file)
    if chosen is Format.PARQUET:
        if file is None:
            raise typer.BadParameter("Parquet goes to a file: -o FILE.")
        _pyarrow()
    with open_database(command_settings()) as database:
        found = find_stream(database, find_connection(database, connection), stream)
        view = _view_of(database, found, stream, lines)
        pages = _told(read_view(database, view, chosen, deleted=deleted, lines=lines is not None), file)
        if file is None:
            _WRITERS[chosen](sys.stdout, view, pages)
            return
        with _appearing(file, binary=chosen is Format.PARQUET) as target:
            _WRITERS[chosen](target, view, pages)


class View:
    """A view, and its columns in their order, with their types."""

    def __init__(self, name: str, columns: Sequence[tuple[str, str]]) -> None:
        self.name = name
        self.columns = columns

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.columns]


def _format_of(file: Path | None) -> Format:
    ending = "" if file is None else file.suffix.removeprefix(".").lower()
    return Format(ending) if ending in {form.value for form in Format} else Format.CSV


def _view_of(database: Database, stream: Row, name: str, lines: str | None) -> View:
    relation = [] if lines is None else lines.split(".")
    params = {"stream": stream["id"], "relation": relation}
    row = database.one(
        "SELECT name FROM stream_views WHERE stream_id = %(stream)s AND relation = %(relation)s"
        " AND signature IS NOT NULL",
        params,
    )
    if row is None:
        what = f"{name} has no view yet" if lines is None else f"{name} has no lines in {lines!r}"
        raise NotFound(
            "no_view", f"{what}.", hint="`headrace views CONNECTION --refresh` makes those that can be."
        )
    columns = database.all(
        "SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute"
        " WHERE attrelid = to_regclass(%(view)s) AND attnum > 0 ORDER BY attnum",
        {"view": f"data.{ident(row['name'])}"},
    )
    return View(row["name"], [(each["name"], each["type"]) for each in columns])


def read_view(database: Database, view: View, form: Format, *, deleted: bool, lines: bool) -> Pages:
    """The rows of a view in the order of their keys, a page at a time; lines with all those of a record in one page."""
    key = "_parent_key" if lines else "_key"
    kept = "" if deleted else " AND _deleted_at IS NULL"
    after = ""
    while True:
        keys = f"SELECT {key} FROM data.{ident(view.name)} WHERE {key} > {literal(after)}{kept}"  # noqa: S608 - quoted
        found = database.all(
            f"SELECT max({key}) AS last, count(*) AS n FROM ({keys} ORDER BY {key} LIMIT {PAGE}) k"  # noqa: S608 - quoted
        )[0]
        if not found["n"]:
            return
        page = f"{key} > {literal(after)} AND {key} <= {literal(found['last'])}{kept}"
        order = f"{key}, _line_no" if lines else key
        yield database.all(
            f"SELECT {_selected(view, form)} FROM data.{ident(view.name)} v WHERE {page} ORDER BY {order}"  # noqa: S608 - quoted
        )
        after = found["last"]


def _selected(view: View, form: Format) -> str:
    """In the form in which they are written: Postgres knows the digits of numbers, and ISO 8601."""
    if form is Format.JSONL:
        return "row_to_json(v)::text AS line"
    texts = {
        "json": "{0}::text",
        "timestamp with time zone": "to_json({0}) #>> '{{}}'",
        "numeric": "{0}::text",
    }
    if form is Format.PARQUET:
        # What Python and a float can't hold is left out, as what doesn't read as its type is.
        texts = {
            "json": "{0}::text",
            "numeric": "CASE WHEN abs({0}) < 1e308 THEN {0}::float8 END",
            "timestamp with time zone": "CASE WHEN {0} >= '0001-01-01Z' AND {0} < '9999-12-31T23:59:59Z' THEN {0} END",
        }
    return ", ".join(
        f"{texts.get(kind, '{0}').format(f'v.{ident(name)}')} AS {ident(name)}" for name, kind in view.columns
    )


def _write_csv(target: IO[Any], view: View, pages: Pages) -> None:
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(view.names)
    for page in pages:
        writer.writerows([_cell(row[name]) for name in view.names] for row in page)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _write_jsonl(target: IO[Any], view: View, pages: Pages) -> None:
    del view
    for page in pages:
        # A line break in JSON stands between values only.
        target.writelines(row["line"].replace("\r", " ").replace("\n", " ") + "\n" for row in page)


def _write_parquet(target: IO[Any], view: View, pages: Pages) -> None:
    pa, parquet = _pyarrow()
    kinds = {
        "bigint": pa.int64(),
        "numeric": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(name, kinds.get(kind, pa.string())) for name, kind in view.columns])
    with parquet.ParquetWriter(target, schema, compression="zstd") as writer:
        for page in pages:
            writer.write_table(pa.Table.from_pylist([dict(row) for row in page], schema=schema))


_WRITERS: Mapping[Format, Callable[[IO[Any], View, Pages], None]] = {
    Format.CSV: _write_csv,
    Format.JSONL: _write_jsonl,
    Format.PARQUET: _write_parquet,
}


def _pyarrow() -> tuple[Any, Any]:
    """Imported only where it is wanted: it is large, and comes with an extra of its own."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise NeedsOperator(
            "no_pyarrow",
            "Parquet needs pyarrow, which isn't installed.",
            hint="Run: pip install 'headrace[parquet]'",
        ) from None


def _told(pages: Pages, file: Path | None) -> Pages:
    count, told = 0, time.monotonic()
    for page in pages:
        yield page
        count += len(page)
        if file is not None and sys.stderr.isatty() and time.monotonic() - told >= TOLD_EVERY:
            note(f"{count:,} rows …")
            told = time.monotonic()
    if file is not None:
        note(f"{count:,} rows in {file}.")


@contextmanager
def _appearing(file: Path, *, binary: bool) -> Iterator[IO[Any]]:
    """A file beside the one that is wanted, which takes its place once it is whole."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with part.open("wb") if binary else part.open("w", encoding="utf-8", newline="") as target:
            yield target
        part.replace(file)
    except OSError as exc:
        raise InvalidInput("unwritable_file", f"{file} can't be written: {exc.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
