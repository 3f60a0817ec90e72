"""The command that shows what one run changed, and asks for those records again."""

from typing import Annotated, Any

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli.output import AsJson, note, print_json, print_table, say
from scheduler.cli.session import command_settings, new_request_id, open_database, open_publisher
from scheduler.keeping.versions import RecordChange, changes_of_run, keys_of_run, stream_of_run
from scheduler.runs.lists import find_run
from worker.db.database import Database
from worker.errors import NotFound

LIMIT = 50
MOST_RESYNCED = 10_000
SHOWN = 60


def changes(
    run: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many changes.")] = LIMIT,
    resync: Annotated[
        bool, typer.Option("--resync", help="Read these records again from their system.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what one run changed, field by field, before and after.

    Where no versions are kept (keep_versions in the connections file), only the records whose last change it was are
    known, without what they were before.

    Example: headrace runs changes 0199d2c4-77aa-7c1
    """
    settings = command_settings()
    with open_database(settings) as database:
        row = find_run(database, run)
        stream = stream_of_run(database, row["id"])
        if stream is None:
            raise NotFound("unknown_stream", "The stream of this run is gone, and its records with it.")
        if resync:
            open_publisher(settings)
            wanted = _resync(database, stream, row["id"])
        else:
            found = changes_of_run(database, stream, row["id"], limit=limit + 1)
    if resync:
        _say_wanted(wanted, as_json=as_json)
        return
    if as_json:
        print_json(_as_json(row, stream, found[:limit]))
    else:
        _print(found[:limit])
    if len(found) > limit:
        note(f"These are the first {limit:,}; --limit shows more.")
    if stream["versions_since"] is None:
        note(
            f"No versions of {stream['name']} are kept: these are the records whose last change it was, "
            "without what they were before."
        )


def _resync(database: Database, stream: Any, run_id: Any) -> dict[str, Any]:
    from scheduler.runs.resync import FEW_IDS  # noqa: PLC0415 - brings Celery
    from scheduler.runs.syncs import refuse_paused, request_one  # noqa: PLC0415
    from worker.runs.states import Lane  # noqa: PLC0415

    connection = {name: stream[name] for name in ("system", "environment", "tenant", "paused_at")}
    connection |= {"id": stream["connection_id"], "name": stream["connection"]}
    refuse_paused(connection)
    keys = keys_of_run(database, stream, run_id, limit=MOST_RESYNCED)
    if not keys:
        raise NotFound("no_changes", "Nothing is known of what this run changed.")
    requested = request_one(
        database,
        connection,
        stream,
        lane=Lane.ON_DEMAND if len(keys) <= FEW_IDS else Lane.BACKFILL,
        cause="resync",
        request_id=new_request_id(),
        track="records",
        scope={"ids": keys},
        actor=COMMAND_LINE,
    )
    return {"id": requested.id, "records": len(keys)}


def _say_wanted(wanted: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(wanted)
        return
    count = wanted["records"]
    say(f"{count:,} {'record is' if count == 1 else 'records are'} asked for again, run {wanted['id']}.")
    if wanted["records"] == MOST_RESYNCED:
        note(f"The run changed more; these are the first {MOST_RESYNCED:,}.")


def _as_json(row: Any, stream: Any, found: list[RecordChange]) -> dict[str, Any]:
    return {
        "run": row["id"],
        "connection": stream["connection"],
        "stream": stream["name"],
        "versions": stream["versions_since"] is not None,
        "changes": [
            {
                "key": change.key,
                "kind": change.kind,
                "changed_since": change.superseded,
                "before": change.before,
                "after": change.after,
                "fields": [
                    {"path": field.path, "before": field.before, "after": field.after}
                    for field in change.fields
                ],
            }
            for change in found
        ],
    }


def _print(found: list[RecordChange]) -> None:
    rows = [
        [change.key if first else "", change.kind if first else "", path, before, after]
        for change in found
        for first, path, before, after in _lines(change)
    ]
    print_table(
        ["key", "change", "field", "before", "after"], rows, empty="It changed nothing that is known."
    )


def _lines(change: RecordChange) -> list[tuple[bool, str, str, str]]:
    if change.kind != "updated" or not change.fields:
        return [(True, "", _short(change.before), "" if change.kind == "deleted" else _short(change.after))]
    return [
        (place == 0, field.path, _short(field.before), _short(field.after))
        for place, field in enumerate(change.fields)
    ]


def _short(text: str | None) -> str:
    if text is None:
        return ""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
