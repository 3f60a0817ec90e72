"""What somebody typed in, or was handed out: in a store, until it is known whether it is of use. Emits: typed_secret_left.

Promises: what a connection doesn't use in the end is taken away again, as far as the store lets us. Does not promise it
of a process that is killed meanwhile.
"""

import secrets as chance
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from scheduler.connections.consent.places import reference_for
from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import HeadraceError, InvalidInput
from worker.secrets import check_reference, is_writable, remove_secret, write_secret

queries = load_queries("scheduler.connections.consent", "consent.sql")

log = structlog.get_logger()


@dataclass(slots=True)
class Typed:
    """References to what was put away. Unless somebody keeps it, it goes again."""

    references: dict[str, str] = field(default_factory=dict)
    kept: bool = False

    def put(self, store: str, connection: str, values: Mapping[str, str]) -> dict[str, str]:
        """Write values to the store, each to a new place; their references."""
        mark = chance.token_hex(4)
        made = {name: reference_for(store, connection, mark, name) for name in values}
        for name, reference in made.items():
            self.references[name] = reference
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
                hint="Name the beginning of references in a store that this Headrace may write to.",
            )
    return found


@contextmanager
def of_link(
    database: Database, link: Mapping[str, Any], before: Mapping[str, str] | None = None
) -> Iterator[Typed]:
    """What is given in one visit; `before`: what was given in the one that led here. Of `link` counts what it is for."""
    typed = Typed(dict(before or {}))
    try:
        yield typed
    finally:
        if not typed.kept and not _used(database, link, typed.references):
            clear(typed.references.values())


def left_by(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The references of states that were forgotten: nobody comes back for them."""
    return [reference for row in rows for reference in row["started"]["references"].values()]


def clear(references: Iterable[str]) -> None:
    """Take it away; what a store doesn't let go of is told by its reference."""
    for reference in references:
        try:
            remove_secret(reference)
        except HeadraceError as exc:
            log.warning("typed_secret_left", reference=reference, code=exc.code)


def _used(database: Database, link: Mapping[str, Any], references: Mapping[str, str]) -> bool:
    """Whether its connection has any of it, or nobody can say."""
    wanted = {"connection": link["connection_id"], "environment": link["environment"], "name": link["name"]}
    try:
        return bool(database.all(queries.references_used, {**wanted, "references": [*references.values()]}))
    except HeadraceError:
        return True
