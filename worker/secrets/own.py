"""Which references may no connection have, whoever points it there? Those that lead to what Headrace itself lives by.

A connection sends its secrets to a host that somebody with a token chose. So what opens the database, the API or a
secret store is never a connection's secret: a token of test would else be one of live, and one of a customer everybody's.
Nor is a file outside of the folders for secrets, where such are set.
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from worker.config import Settings
from worker.secrets.stores.env import variable
from worker.secrets.stores.vault import server as vault

_SETTINGS = frozenset(f"HEADRACE_{name}".upper() for name in Settings.model_fields)
_LOGINS = frozenset(
    {
        "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_SECRET", "AZURE_PASSWORD", "IDENTITY_HEADER",
        "PGPASSWORD", "PGSSLPASSWORD", "VAULT_TOKEN",
    }
)  # fmt: skip
"""What the clients of stores and of Postgres log in with."""
_LOGIN_FILES = (
    "AWS_CONFIG_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "PGPASSFILE",
    "PGSSLKEY", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY",
)  # fmt: skip
"""Variables that name a file with such a thing."""
_USUAL_FILES = (
    "~/.aws/config",
    "~/.aws/credentials",
    "~/.pgpass",
    "~/.postgresql/postgresql.key",
    "~/.vault-token",
)
"""Where they look, or their people keep it, when no variable says so."""
_REFERRING = ("connect_key", "privacy_key", *vault.REFERRING)
_SYSTEM = ("/proc/", "/sys/")
"""Where the environment and the memory of processes can be read."""
_DATA = ("postgres", "valkey")
"""Folders of servers in the home, or links to them."""
_DEMO = "demo-"


def is_own(scheme: str, name: str, settings: Settings) -> bool:
    """Whether this is Headrace's own. `name` in its canonical form; links in the file system are followed."""
    if scheme not in {"env", "file"}:
        return False
    servers = vault.named_servers()
    if scheme == "file":
        return _is_own_file(os.path.realpath(name), settings, servers)
    own = _SETTINGS | _LOGINS
    return _of_everybody(name.upper(), servers) in own or f"env://{name}" in _referred(settings, servers)


def _of_everybody(name: str, servers: Sequence[vault.Server]) -> str:
    """What a variable of a server with a name is called for the one without."""
    endings = (server.called("") for server in servers)
    return next((name.removesuffix(each) for each in endings if name.endswith(each)), name)


def is_elsewhere(scheme: str, name: str, folders: Sequence[str]) -> bool:
    """Whether this is a file that lies in none of the folders for secrets, by whatever link it is named; none: anywhere."""
    if scheme != "file" or not folders:
        return False
    return not any(Path(os.path.realpath(name)).is_relative_to(os.path.realpath(each)) for each in folders)


def _is_own_file(path: str, settings: Settings, servers: Sequence[vault.Server]) -> bool:
    """Asked at each opening: what is there is told by its number, which is quicker than by the names of all links to it."""
    if path.startswith(_SYSTEM):
        return True
    number: Callable[[str], object] = _number if Path(path).exists() else os.path.realpath
    if number(path) in map(number, _own_files(settings, servers)):
        return True
    found, home = Path(path), str(settings.home)
    folders = [number(str(each)) for each in found.parents]
    if any(number(f"{home}/{name}") in folders for name in _DATA):
        return True
    # All that lies in the home itself is Headrace's, but for what its demo system asks for.
    return folders[:1] == [number(home)] and not found.name.startswith(_DEMO)


def _own_files(settings: Settings, servers: Sequence[vault.Server]) -> list[str]:
    named = [
        text.removeprefix("file://") for text in _referred(settings, servers) if text.startswith("file://")
    ]
    named += [path for each in _LOGIN_FILES if (path := variable(each)) is not None]
    named += [
        path
        for server in servers
        for each in (*vault.KEYS, "HEADRACE_VAULT_KUBERNETES_JWT")
        if (path := server.variable(each)) is not None
    ]
    return [*named, *_usual_files(variable("HOME")), str(settings.vault_kubernetes_jwt)]


@lru_cache(maxsize=8)
def _usual_files(home: str | None) -> tuple[str, ...]:
    del home  # but for which they are others
    return tuple(map(os.path.expanduser, _USUAL_FILES))


def _number(path: str) -> object:
    """By which the system knows a file or a folder. Of what isn't there, one that nothing else has."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path as an object costs more than all the rest
    except OSError:
        return object()
    return found.st_dev, found.st_ino


def _referred(settings: Settings, servers: Sequence[vault.Server]) -> set[str]:
    """The references that settings hold."""
    token = settings.token.get_secret_value() if settings.token is not None else None
    theirs = (reference for _, reference in vault.references_of(servers))
    return {text for text in (token, *(getattr(settings, name) for name in _REFERRING), *theirs) if text}
