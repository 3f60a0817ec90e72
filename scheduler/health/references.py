"""Which references does this installation hold, and which of them lead to a value? Told without showing a byte of it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scheduler.health.looks import sql as looks
from worker.config import Settings
from worker.db.database import Database
from worker.errors import HeadraceError
from worker.http.network.settings import REFERENCES
from worker.outbound.message import environment_of
from worker.secrets import is_writable, open_secret
from worker.secrets.stores.vault.server import REFERRING, named_servers, references_of

OF_SETTINGS = ("privacy_key", "connect_key", *REFERRING)


@dataclass(frozen=True, slots=True)
class Checked:
    """One reference, and what came of opening it."""

    holder: str
    """The connection, subscription or setting that holds it."""
    name: str
    reference: str
    environment: str | None
    opens: bool
    writable: bool | None = None
    """Not asked where it doesn't open."""
    code: str | None = None
    problem: str | None = None
    hint: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def check_references(database: Database, settings: Settings) -> Iterator[Checked]:
    """Each reference of a connection, a subscription or a setting, opened as its store has it now, and forgotten."""
    for holder, name, reference, environment in _references(database, settings):
        yield check(holder, name, reference, environment)


def check(holder: str, name: str, reference: str, environment: str | None) -> Checked:
    """Open it, and ask whether it could be written."""
    try:
        open_secret(reference, environment=environment, fresh=True)
    except HeadraceError as exc:
        return Checked(holder, name, reference, environment, False, None, exc.code, exc.message, exc.hint)
    try:
        writable = is_writable(reference)
    except HeadraceError:
        writable = False
    return Checked(holder, name, reference, environment, True, writable)


def _references(database: Database, settings: Settings) -> Iterator[tuple[str, str, str, str | None]]:
    for row in database.all(looks.secret_references):
        holder = f"connection {row['name']}"
        for name, reference in connection_references(row):
            yield holder, name, reference, row["environment"]
    for row in database.all(looks.subscription_secrets):
        yield f"subscription {row['name']}", "secret", row["secret"], environment_of(row)
    for name in OF_SETTINGS:
        if (reference := getattr(settings, name)) is not None:
            yield f"HEADRACE_{name.upper()}", name, reference, None
    for variable, reference in references_of(named_servers()):
        yield variable, variable.removeprefix("HEADRACE_").lower(), reference, None


def connection_references(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Those of a connection and of its network, by name."""
    yield from row["secrets"].items()
    network = row["network"] or {}
    yield from ((name, network[name]) for name in REFERENCES if name in network)
