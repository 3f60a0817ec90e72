"""Somebody with a link has given all that is needed: it is tried, and becomes a connection.

Promises: what a connection used before stays as it is until what came instead was tried. A link is used up in the commit
that makes its connection, so it makes one, however often its form is sent: the others are told that it is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.access.audit import Actor, note_act
from scheduler.connections.consent.typed import queries
from scheduler.connections.current import queries as shared
from scheduler.connections.editing.body import body_of
from scheduler.connections.editing.edit import Editor, change_connection, create_connection
from scheduler.connections.editing.edit import queries as editing
from scheduler.connections.transactions import Transaction
from scheduler.connections.trial.report import Report
from scheduler.connections.trial.trial import Candidate, try_connection
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.errors import HeadraceError, InvalidInput
from worker.http.sender import Sender


class LinkGone(HeadraceError):
    """It was revoked or has expired meanwhile, or its connection became something else."""

    def __init__(self) -> None:
        super().__init__(
            "link_gone", "This link is no longer valid.", hint="Ask whoever sent it for another."
        )


class LinkDone(HeadraceError):
    """It did what it was for: the same form was sent twice."""

    def __init__(self) -> None:
        super().__init__("link_done", "It was connected with this link already.")


@dataclass(frozen=True, slots=True)
class Rooms:
    """What is worked with."""

    database: Database
    registry: Registry
    sender: Sender


@dataclass(frozen=True, slots=True)
class Finished:
    """`connection` is None where it didn't work as it was given."""

    report: Report
    connection: int | None


def candidate_of(
    database: Database, link: Mapping[str, Any], settings: Mapping[str, Any], references: Mapping[str, str]
) -> Candidate:
    """What the link would make."""
    before: Mapping[str, Any] = {"secrets": {}, "network": link["network"], "settings": link["settings"]}
    if link["connection_id"] is not None:
        before = database.one(editing.read_one, {"id": link["connection_id"]}) or before
    return Candidate(
        system=link["system"],
        environment=link["environment"],
        settings={**before["settings"], **settings},
        secrets={**before["secrets"], **link["secrets"], **references},
        network=before["network"],
        manifest_version=before.get("manifest_version"),
    )


def finish(
    rooms: Rooms,
    link: Mapping[str, Any],
    candidate: Candidate,
    references: Mapping[str, str],
    actor: Actor,
) -> Finished:
    """Try it; if its system answers, make the connection or let it go on. Raises `LinkGone`, `LinkDone` and `InvalidInput`.

    Of a connection that is there only `references` and what the link brings are changed: what else somebody changed of it
    meanwhile stays.
    """
    report = try_connection(rooms.sender, rooms.registry, candidate, request_id=actor.request_id or "connect")
    if not report.reached:
        return Finished(report, None)
    try:
        return Finished(report, _made(rooms, link, candidate, references, actor))
    except (LinkGone, InvalidInput) as exc:
        if _is_used_up(rooms.database, link):
            raise LinkDone from None
        if exc.code == "name_taken":
            raise LinkGone from None  # since the link was made; whoever has it can't choose another name
        raise


def _made(
    rooms: Rooms,
    link: Mapping[str, Any],
    candidate: Candidate,
    references: Mapping[str, str],
    actor: Actor,
) -> int:
    def use(tx: Transaction, connection: int) -> None:
        used = tx.execute(queries.use_link, {"id": link["id"], "connection": connection}).fetchone()
        if used is None:
            raise LinkGone
        about = {"environment": link["environment"], "tenant": link["tenant"], "id": connection}
        note_act(tx, actor, "connect_link.use", f"{link['name']} ({link['id']})", about=about)
        if link["connection_id"] is not None:
            _let_go_on(tx, connection)

    editor = Editor(actor)
    if link["connection_id"] is not None:
        patch = {"secrets": {**link["secrets"], **references}}
        change_connection(rooms.database, rooms.registry, link["connection_id"], patch, editor, also=use)
        return int(link["connection_id"])
    entry: dict[str, Any] = {
        "name": link["name"],
        "system": link["system"],
        "environment": link["environment"],
        "labels": link["labels"],
        "settings": dict(candidate.settings),
        "secrets": dict(candidate.secrets),
        "network": dict(candidate.network),
    }
    if link["tenant"] is not None:
        entry["tenant"] = link["tenant"]
    return create_connection(rooms.database, rooms.registry, body_of(entry), editor, also=use)


def _is_used_up(database: Database, link: Mapping[str, Any]) -> bool:
    row = database.one(queries.is_used_up, {"id": link["id"]})
    return row is not None and bool(row["used"])


def _let_go_on(tx: Transaction, connection: int) -> None:
    """One that was disconnected goes on; one that somebody paused stays paused."""
    back = tx.execute(editing.reconnect, {"id": connection}).rowcount
    if back and tx.execute(shared.resume_connections, {"connections": [connection]}).fetchone():
        tx.execute(shared.set_next_runs, {"connections": [connection]})
