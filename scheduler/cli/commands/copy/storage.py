"""The command that shows what the copy takes, and how long there is room for it."""

from collections.abc import Sequence
from typing import Annotated

import typer

from scheduler.cli.output import AsJson, note, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.resolve import find_connection
from scheduler.keeping.storage import Amount, StreamStorage, in_words, look_at_room, read_storage, size


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(storage)


def storage(
    connection: Annotated[str | None, typer.Argument(help="One connection, stream by stream.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what each connection takes: records, versions, quarantine, and the room that is left.

    Large tables are told from a sample, marked with ~.

    Example: headrace storage plant
    """
    with open_database(command_settings()) as database:
        chosen = find_connection(database, connection) if connection else None
        found = read_storage(database)
        room = look_at_room(database)
    if chosen is not None:
        where = (chosen["name"], chosen["environment"])
        found = [each for each in found if (each.connection, each.environment) == where]
    if as_json:
        print_json({"streams": [each.as_json() for each in found], "database": room.as_json()})
        return
    rows = _by_stream(found) if chosen is not None else _by_connection(found)
    name = "stream" if chosen is not None else "connection"
    print_table(
        [name, "records", "bytes", "versions", "bytes", "quarantine", "all"], rows, empty="Nothing yet."
    )
    words = in_words(room)
    say(f"{words[0].upper()}{words[1:]}.")
    if room.is_little:
        note("Free some space, or keep less: docs/retention.md.")


def _by_stream(found: Sequence[StreamStorage]) -> list[list[str]]:
    return [_row(each.stream, [each]) for each in found]


def _by_connection(found: Sequence[StreamStorage]) -> list[list[str]]:
    grouped: dict[tuple[str, str], list[StreamStorage]] = {}
    for each in found:
        grouped.setdefault((each.connection, each.environment), []).append(each)
    rows = sorted(grouped.items(), key=lambda item: -sum(each.bytes for each in item[1]))
    return [
        _row(name if environment == "live" else f"{environment}/{name}", streams)
        for (name, environment), streams in rows
    ]


def _row(name: str, streams: Sequence[StreamStorage]) -> list[str]:
    records = _sum([each.records for each in streams])
    versions = _sum([each.versions for each in streams])
    aside = _sum([each.quarantine for each in streams])
    return [
        name, _count(records), size(records.bytes), _count(versions), size(versions.bytes), f"{aside.rows:,}",
        size(records.bytes + versions.bytes + aside.bytes),
    ]  # fmt: skip


def _sum(amounts: Sequence[Amount]) -> Amount:
    return Amount(
        sum(each.rows for each in amounts),
        sum(each.bytes for each in amounts),
        all(each.exact for each in amounts),
    )


def _count(amount: Amount) -> str:
    return f"{amount.rows:,}" if amount.exact else f"~{amount.rows:,}"
