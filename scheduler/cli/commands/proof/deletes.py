"""The command about deletes that wait for a decision, and how the copy comes by deletes at all."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from scheduler.cli.output import AsJson, ago, note, print_facts, print_json, print_table, say
from scheduler.cli.session import command_settings, new_request_id, open_database, open_publisher
from scheduler.connections.resolve import find_connection, find_stream
from worker.db.database import Database
from worker.parsing.sent_json import read_sent

WORDS = 160
"""So much of a record's content is shown."""


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(deletes)


def deletes(
    connection: Annotated[
        str | None, typer.Argument(help="The connection's name or number; left out: all.")
    ] = None,
    stream: Annotated[
        str | None, typer.Argument(help="The stream's name; left out: those that wait.")
    ] = None,
    *,
    review: Annotated[
        bool, typer.Option("--review", help="Show who is missing, with the last content.")
    ] = False,
    accept: Annotated[bool, typer.Option("--accept", help="Delete exactly those that are held.")] = False,
    reject: Annotated[
        bool, typer.Option("--reject", help="Forget who is suspected, and begin anew.")
    ] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="Look for deletes now.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many --review shows.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Decide on deletes that are held because they are too many at once, or see how deletes of a stream are found.

    Without a stream, those are listed where deletes wait for a decision.

    Example: headrace deletes plant work_orders --review
    """
    if sum((review, accept, reject, sweep)) > 1:
        raise typer.BadParameter("Choose one of --review, --accept, --reject and --sweep.")
    if (review or accept or reject or sweep) and stream is None:
        raise typer.BadParameter("Say of which CONNECTION and STREAM.")
    settings = command_settings()
    with open_database(settings) as database:
        found = find_connection(database, connection) if connection else None
        if found is None or stream is None:
            _list(database, found, as_json=as_json)
            return
        row = find_stream(database, found, stream)
        if accept or sweep:
            open_publisher(settings)
        if accept:
            _accept(database, found, row, as_json=as_json)
        elif reject:
            _reject(database, found, row, as_json=as_json)
        elif sweep:
            _sweep(database, found, row, as_json=as_json)
        else:
            _show(database, found, row, limit if review else 0, as_json=as_json)


def _list(database: Database, connection: dict[str, Any] | None, *, as_json: bool) -> None:
    from scheduler.proof.deletes import held_deletes  # noqa: PLC0415 - brings Celery

    rows = held_deletes(database, connection["id"] if connection else None)
    rows.sort(key=lambda row: (row["connection"], row["stream"]))
    if as_json:
        print_json(rows)
        return
    now = datetime.now(UTC)
    print_table(
        ["connection", "stream", "held", "of", "since", "why"],
        (
            [
                row["connection"], row["stream"], row["held"], row["fuse"]["records"],
                ago(datetime.fromisoformat(row["fuse"]["at"]), now), row["fuse"]["words"],
            ]
            for row in rows
        ),
        empty="No deletes wait for a decision.",
    )  # fmt: skip


def _show(database: Database, connection: Any, stream: Any, limit: int, *, as_json: bool) -> None:
    from scheduler.proof.deletes import deletes_of, suspects_of  # noqa: PLC0415

    found = deletes_of(database, stream)
    examples = suspects_of(database, stream, limit=limit) if limit else []
    if as_json:
        shown = {"examples": [_example(row) for row in examples]} if limit else {}
        print_json({"connection": connection["name"], **found, **shown})
        return
    fuse, last, now = found["fuse"], found["last_sweep"] or {}, datetime.now(UTC)
    print_facts(
        {
            "connection": connection["name"],
            "stream": found["stream"],
            "held": fuse and f"{found['held']:,} since {ago(datetime.fromisoformat(fuse['at']), now)}, by run {fuse['run']}",
            "why": fuse and fuse["words"],
            "accepted": fuse and fuse.get("accepted_at"),
            "suspected": f"{found['suspected']:,}, of which {found['confirmed']:,} are confirmed",
            "last sweep": "none yet" if not last else f"{last['verdict']}, {ago(datetime.fromisoformat(last['finished_at']), now)}",
            "it saw": None if not last else f"{last['seen']:,} records; the copy held {last['held']:,}, {last['missing']:,} were missing",
            # Those of a complete one tell of what was held, which is above, or is decided by now.
            "its words": last.get("words") if last.get("verdict") != "complete" else None,
            "next sweep": ago(found["next_sweep_at"], now) if found["next_sweep_at"] else None,
        }
    )  # fmt: skip
    if limit:
        say("")
        print_table(
            ["key", "changed", "sweeps that missed it", "confirmed by", "record"],
            (
                [
                    row["key"], row["source_updated_at"] or row["observed_at"], row["missed"],
                    (row["reason"] or "").replace("_", " "), _words(row["raw"]),
                ]
                for row in examples
            ),
            empty="Nobody is suspected.",
        )  # fmt: skip
        if found["suspected"] > len(examples):
            note(f"These are {len(examples):,} of {found['suspected']:,}; --limit shows more.")


def _accept(database: Database, connection: Any, stream: Any, *, as_json: bool) -> None:
    from scheduler.proof.deletes import accept  # noqa: PLC0415

    done = accept(database, connection, stream, cause="cli", request_id=new_request_id())
    if as_json:
        print_json({"run": done.run, "count": done.count})
        return
    say(f"What was held ({done.count:,}) is deleted by run {done.run}, as far as it is still missing.")
    say(f"Watch it with `headrace runs show {done.run}`.")


def _reject(database: Database, connection: Any, stream: Any, *, as_json: bool) -> None:
    from scheduler.proof.deletes import reject  # noqa: PLC0415

    count = reject(database, connection, stream)
    if as_json:
        print_json({"forgotten": count})
    else:
        say(f"Nothing was deleted. {count:,} suspects are forgotten; the next sweep begins anew.")


def _sweep(database: Database, connection: Any, stream: Any, *, as_json: bool) -> None:
    from scheduler.proof.deletes import request_sweep  # noqa: PLC0415

    run = request_sweep(database, connection, stream, cause="cli", request_id=new_request_id())
    if as_json:
        print_json({"run": run})
    else:
        say(f"A sweep is asked for: run {run}. Watch it with `headrace runs show {run}`.")


def _example(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "raw": None if row["raw"] is None else read_sent(row["raw"])}


def _words(raw: str | None) -> str:
    """The beginning of what the copy holds."""
    text = "" if raw is None else " ".join(raw.split())
    return text if len(text) <= WORDS else text[: WORDS - 1] + "…"
