"""Are settings and secrets what the system needs, and is each in its place?"""

from collections.abc import Sequence
from functools import partial

from scheduler.connections.file.part import Part, Step
from scheduler.connections.file.secrecy import secret_paths
from worker.connectors.contract import Connector, Source
from worker.connectors.describing import DESCRIBE
from worker.http.network import settings as network
from worker.http.network.settings import REFERENCES
from worker.parsing.documents import nearest, suggest
from worker.secrets import check_reference, parse_reference

MISPLACED = "Put it under secrets as a reference, such as env://NAME or file:///absolute/path."


def check_secrecy(part: Part) -> None:
    """References only under secrets, and no secret among the settings: true of every system, known or not."""
    for name in part.mapping("secrets"):
        _check_reference(part, "secrets", name)
    for path in secret_paths(part.mapping("settings")):
        _refuse_setting(part, path)


def check_network(part: Part) -> None:
    """References to certificates and passwords, and a proxy that can be meant."""
    given = part.mapping("network")
    for name in given:
        if name in REFERENCES:
            _check_reference(part, "network", name)
    if part.sound("network"):
        part.attempt(partial(network.check_network, given), "network", otherwise=None)


def _check_reference(part: Part, *path: str) -> None:
    """A reference that a connection of this environment may use."""
    if not part.sound(*path):
        return
    environment = part.get("environment") or "live"
    check = (
        partial(check_reference, environment=environment) if part.sound("environment") else parse_reference
    )
    part.attempt(partial(check, part.get(*path), name=path[-1]), *path, otherwise=None)


def check_settings(part: Part, connector: Connector) -> Source | None:
    """As the system wants them, unless a secret stands among them: that must go first. What they make, if they are right."""
    settings = part.mapping("settings")
    for name in settings:
        if name in connector.secret_names and part.sound("settings", name):
            _refuse_setting(part, (name,))
    if not part.sound("settings"):
        return None
    return part.attempt(lambda: connector.bind(settings), "settings", otherwise=None)


def check_secrets(part: Part, connector: Connector, source: Source | None) -> None:
    """By the names that the system or the settings give them, and none missing."""
    given = part.mapping("secrets")
    settings = part.mapping("settings")
    names = connector.secret_names if source is None else connector.secrets_of(settings)
    may_be_more = source is None and DESCRIBE in settings
    unknown = [name for name in given if name not in names and not may_be_more]
    for name in unknown:
        message = f"{part.data['system']} knows no secret {name!r}."
        part.add("unknown_secret", message, "secrets", name, hint=suggest(name, names))
    meant = {nearest(name, names) for name in unknown}
    for name, required in names.items():
        if required and name not in given and name not in meant and part.sound("secrets"):
            message = f"The secret {name!r} is missing: {part.data['system']} can't be reached without it."
            hint = f"Under secrets, write {name}: env://NAME or {name}: file:///absolute/path."
            part.add("missing_secret", message, *(("secrets",) if given else ()), hint=hint)


def _refuse_setting(part: Part, path: Sequence[Step]) -> None:
    name = ".".join(map(str, ("settings", *path)))
    message = f"{name} holds a secret, and settings are stored as they are."
    part.spoil("secret_in_settings", message, "settings", *path, hint=MISPLACED)


def check_text(part: Part) -> None:
    """Characters that Postgres can't keep."""
    waiting: list[tuple[tuple[Step, ...], object]] = [((), part.data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(((*path, key), inner) for key, inner in value.items())
            waiting.extend(((*path, key), key) for key in value)
        elif isinstance(value, list):
            waiting.extend(((*path, at), inner) for at, inner in enumerate(value))
        elif isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
            part.spoil(
                "bad_value", "This text holds a NUL or half a character, which can't be stored.", *path
            )
