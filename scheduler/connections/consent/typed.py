"""What somebody typed in, or was handed out: in a store, until it is known whether it is of use. Emits: typed_secret_left.

Promises: what a connection doesn't use in the end is taken away again, as far as the store lets us. Its references are
noted in the database before the first is written, so what a process that is killed leaves is found by `clear_left` an hour
later. The notes lie beside the states of log-ins (`oauth_states`), which hold references in the same way. Does not promise
anything of a process that stood still for an hour between what was typed and its connection.
"""

import secrets as chance
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from scheduler.connections.consent.places import reference_for
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import HeadraceError, InvalidInput
from worker.secrets import check_reference, is_writable, remove_secret, write_secret

queries = load_queries("scheduler.connections.consent", "consent.sql")

BATCH = 20
"""Each may have to wait for its store."""

log = structlog.get_logger()


def new_note() -> bytes:
    """No state has it for a digest, and no browser can name it."""
    return chance.token_bytes(32)


@dataclass(slots=True)
class Typed:
    """References to what was put away. Unless somebody keeps it, it goes again. `note`: by what the database knows of it."""

    database: Database
    references: dict[str, str] = field(default_factory=dict)
    note: bytes = field(default_factory=new_note)
    kept: bool = False

    def put(self, store: str, connection: str, values: Mapping[str, str]) -> dict[str, str]:
        """Write values to the store, each to a new place; their references."""
        mark = chance.token_hex(4)
        made = {name: reference_for(store, connection, mark, name) for name in values}
        self.references.update(made)
        if made:
            started = Jsonb({"references": self.references})
            self.database.run(queries.note_typed, {"digest": self.note, "started": started})
        for name, reference in made.items():
            write_secret(reference, values[name])
        return made

    def keep(self) -> None:
        """It is used, or will be."""
        self.kept = True


def promises(store: str, connection: str, environment: str, names: Iterable[str]) -> dict[str, str]:
    """References as they will be. Raises `InvalidInput` where one isn't allowed, or nothing can be written there."""
    found = {}
    for name in names:
        reference = found[name] = reference_for(store, connection, "00000000", name)
        try:
            check_reference(reference, environment=environment, name=name)
        except InvalidInput as exc:
            raise InvalidInput(exc.code, exc.message, place="body.store", hint=exc.hint) from None
        if not is_writable(reference):
            raise InvalidInput(
                "secret_not_writable",
                "Nothing can be written there.",
                place="body.store",
                hint="Name the beginning of references in a store that this Headrace may write to; a folder must be there.",
            )
    return found


@contextmanager
def of_link(
    database: Database,
    link: Mapping[str, Any],
    before: Mapping[str, str] | None = None,
    note: bytes | None = None,
) -> Iterator[Typed]:
    """What is given in one visit; `before`: what was given in the one that led here, as `note` has it. Of `link` counts
    what it is for.
    """
    typed = Typed(database, dict(before or {}), note or new_note())
    try:
        yield typed
    finally:
        with suppress(HeadraceError):  # where nobody can say whether it is used, `clear_left` looks again
            used = typed.kept or _used(database, link, typed.references)
            if used or clear(typed.references.values()):
                database.run(queries.forget_state, {"digest": typed.note})


def forget(database: Database, rows: Iterable[Mapping[str, Any]]) -> None:
    """Take away what states that are over had put in a store: nobody comes back for it. What stays is tried again."""
    for row in rows:
        if clear(row["started"]["references"].values()):
            database.run(queries.forget_state, {"digest": row["digest"]})


def clear_left(database: Database) -> int:
    """What processes that were killed, and customers who never came back, left in stores; how many notes were settled.

    What a connection uses stays: its commit came before the end. What a store doesn't let go of is tried again for a week.
    """
    rows = database.all(queries.expired_states, {"batch": BATCH})
    if not rows:
        return 0
    references = [reference for row in rows for reference in row["started"]["references"].values()]
    used = {row["reference"] for row in database.all(queries.used_anywhere, {"references": references})}
    settled = 0
    for row in rows:
        mine = [each for each in row["started"]["references"].values() if each not in used]
        if clear(mine, told=row["last_time"]) or row["last_time"]:
            settled += database.run(queries.forget_state, {"digest": row["digest"]})
        else:
            database.run(queries.try_later, {"digest": row["digest"]})
    return settled


def clear(references: Iterable[str], *, told: bool = True) -> bool:
    """Take it away, and say whether all of it has gone; what a store doesn't let go of is told by its reference."""
    gone = True
    for reference in references:
        try:
            remove_secret(reference)
        except HeadraceError as exc:
            gone = False
            if told:
                log.warning("typed_secret_left", reference=reference, code=exc.code)
    return gone


def _used(database: Database, link: Mapping[str, Any], references: Mapping[str, str]) -> bool:
    """Whether its connection has any of it."""
    wanted = {"connection": link["connection_id"], "environment": link["environment"], "name": link["name"]}
    return bool(database.all(queries.references_used, {**wanted, "references": [*references.values()]}))
