"""The command about the SQL views of the copy: which there are, what is in them, and what doesn't fit them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from scheduler.cli.output import AsJson, note, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database, open_registry
from scheduler.connections.resolve import find_connection, find_stream
from worker.config import Settings
from worker.db.database import Database
from worker.views.make import known_columns
from worker.views.reader import READER, reader_exists, reader_statements
from worker.views.sql import models, tables
from worker.views.sql.columns import Relation
from worker.views.sql.kinds import KINDS
from worker.views.streams import Described
from worker.views.tending import make_all, streams_of
from worker.views.unified import views_of

Row = Mapping[str, Any]


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(views)


def views(
    connection: Annotated[str | None, typer.Argument(help="The connection's name or number.")] = None,
    stream: Annotated[str | None, typer.Argument(help="The stream's name; left out: all of them.")] = None,
    *,
    problems: Annotated[
        bool, typer.Option("--problems", help="Read all records for values that don't fit their column.")
    ] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Bring the views up to date now.")] = False,
    reader: Annotated[
        bool, typer.Option("--reader", help="Say how somebody reads the views, and nothing else.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the SQL views of a connection, and with a stream its columns.

    A value that doesn't read as its column's type is NULL in the view; --problems counts such values, with examples.

    Example: headrace views plant work_orders --problems
    """
    settings = command_settings()
    if reader:
        _say_reader(settings, as_json=as_json)
        return
    if connection is None:
        raise typer.BadParameter("Say of which CONNECTION.")
    with open_database(settings) as database:
        found = find_connection(database, connection)
        if stream is not None:
            find_stream(database, found, stream)
        registry = open_registry(settings)
        if refresh and not make_all(database, registry, [found["id"]]):
            note("Somebody reads some of the views at the moment; these follow within a minute.")
        streams = [
            one for one in streams_of(database, registry, found["id"]) if stream is None or one.name == stream
        ]
        if problems:
            _show_problems(database, streams, as_json=as_json)
        elif stream is None:
            _show_views(database, found, streams, as_json=as_json)
        else:
            _show_columns(database, streams[0], as_json=as_json)


def _show_views(database: Database, connection: Row, streams: Sequence[Described], *, as_json: bool) -> None:
    rows = database.all(_VIEWS, {"connection": connection["id"]})
    names = {stream.id: stream.name for stream in streams}
    unified = views_of(database, connection["id"])
    if as_json:
        listed = [{**row, "stream": names.get(row.pop("stream_id"))} for row in rows]
        print_json({"views": listed, "models": unified})
        return
    print_table(
        ["view", "stream", "columns", "kept parsed", "problem"],
        [
            [
                f"data.{row['name']}",
                names.get(row["stream_id"], ""),
                row["columns"],
                "yes" if row["stored"] else "",
                row["problem"] or "",
            ]
            for row in rows
        ],
        empty="No views yet: they are made after the first sync, or now with --refresh.",
    )
    for name in unified:
        say(f"models.{name}")


def _show_columns(database: Database, stream: Described, *, as_json: bool) -> None:
    rows = database.all(_COLUMNS, {"stream": stream.id})
    for row in rows:
        row["type"] = KINDS[row.pop("kind")].sql
    if as_json:
        print_json({"stream": stream.name, "columns": rows})
        return
    print_table(
        ["view", "column", "type", "field", "said by"],
        [
            [
                f"data.{row['view']}",
                row["name"],
                row["type"],
                ".".join(row["path"]),
                "manifest" if row["declared"] else "its values",
            ]
            for row in rows
        ],
        empty="No columns yet: no record was seen.",
    )


def _show_problems(database: Database, streams: Sequence[Described], *, as_json: bool) -> None:
    found = [problem for stream in streams for problem in problems_of(database, stream)]
    if as_json:
        print_json({"problems": found})
        return
    print_table(
        ["stream", "column", "type", "values", "such as"],
        [
            [one["stream"], one["column"], one["type"], one["values"], "; ".join(one["examples"])]
            for one in found
        ],
        empty="Every value reads as the type of its column.",
    )


def problems_of(database: Database, stream: Described) -> list[dict[str, Any]]:
    """What doesn't read as its type, in the views of a stream and in the models that are read from it."""
    with database.connection() as db:
        known = known_columns(db, stream.id)
    found: list[dict[str, Any]] = []
    for path, columns in known.items():
        told, text = tables.problems_of(Relation(path, tuple(columns)), stream.place)
        row = database.all(text)[0]
        name = ".".join([stream.name, *path])
        if row["unreadable"] and not path:
            found.append(_problem(name, "(record)", "object", row["unreadable"], []))
        for number, column in enumerate(told):
            if row[f"n{number}"]:
                kind = KINDS[column.kind].sql
                found.append(_problem(name, column.name, kind, row[f"n{number}"], row[f"e{number}"]))
    for mapping in stream.mappings:
        asked = models.problems_of(mapping, stream.place)
        if asked is None:
            continue
        row = database.all(asked[1])[0]
        for number, field in enumerate(asked[0]):
            if row[f"n{number}"]:
                found.append(
                    _problem(
                        stream.name, f"{mapping.model}.{field}", "model", row[f"n{number}"], row[f"e{number}"]
                    )
                )
    return found


def _problem(stream: str, column: str, kind: str, values: int, examples: list[str]) -> dict[str, Any]:
    return {"stream": stream, "column": column, "type": kind, "values": values, "examples": examples}


def _say_reader(settings: Settings, *, as_json: bool) -> None:
    with open_database(settings) as database:
        there = reader_exists(database)
        statements = reader_statements(database)
    if as_json:
        print_json({"role": READER, "exists": there, "statements": statements})
        return
    if there:
        say(
            f"The role {READER} reads the schemas data and models, and nothing else. To let somebody in as it:"
        )
        say(f"  CREATE ROLE anna LOGIN PASSWORD '…' IN ROLE {READER};")
        return
    say(f"There is no role {READER}, and Headrace may not make one here. As a superuser:")
    for statement in statements:
        say(f"  {statement}")


_VIEWS = """
SELECT v.stream_id, v.name, v.problem,
       (SELECT count(*) FROM pg_attribute a
         WHERE a.attrelid = to_regclass('data.' || quote_ident(v.name)) AND a.attnum > 0) AS columns,
       v.relation = '{}' AND EXISTS (SELECT FROM view_stores s WHERE s.stream_id = v.stream_id AND s.active) AS stored
  FROM stream_views v WHERE v.connection_id = %(connection)s AND v.signature IS NOT NULL
 ORDER BY v.name
"""
_COLUMNS = """
SELECT v.name AS view, c.name, c.kind, c.path, c.declared
  FROM view_columns c JOIN stream_views v ON v.stream_id = c.stream_id AND v.relation = c.relation
 WHERE c.stream_id = %(stream)s ORDER BY v.name, c.place
"""
