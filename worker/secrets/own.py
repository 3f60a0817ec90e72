"""Which references lead to what Headrace itself lives by? No connection may have those, whoever points it there.

A connection sends its secrets to a host that somebody with a token chose. So what opens the database, the API or a
secret store is never a connection's secret: a token of test would else be one of live, and one of a customer everybody's.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from worker.config import Settings
from worker.secrets.stores.env import variable

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
_REFERRING = ("connect_key", "privacy_key", "vault_role_id", "vault_secret_id", "vault_token")
_SYSTEM = ("/proc/", "/sys/")
"""Where the environment and the memory of processes can be read."""
_DATA = ("postgres", "valkey")
"""Folders of servers in the home, or links to them."""
_DEMO = "demo-"


def is_own(scheme: str, name: str, settings: Settings) -> bool:
    """Whether this is Headrace's own. `name` in its canonical form; links in the file system are followed."""
    if scheme == "env":
        return name.upper() in _SETTINGS | _LOGINS or f"env://{name}" in _referred(settings)
    return scheme == "file" and _is_own_file(os.path.realpath(name), settings)


def _is_own_file(path: str, settings: Settings) -> bool:
    if path.startswith(_SYSTEM) or path in set(_own_files(settings)):
        return True
    found = Path(path)
    home, *data = _places(settings.home)
    if any(found.is_relative_to(each) for each in data):
        return True
    # All that lies in the home itself is Headrace's, but for what its demo system asks for.
    return found.parent == home and not found.name.startswith(_DEMO)


def _own_files(settings: Settings) -> Iterator[str]:
    named = [text.removeprefix("file://") for text in _referred(settings) if text.startswith("file://")]
    named += [path for each in _LOGIN_FILES if (path := variable(each)) is not None]
    usual = map(os.path.expanduser, _USUAL_FILES)
    for path in (*named, *usual, str(settings.vault_kubernetes_jwt)):
        yield os.path.realpath(path)


def _referred(settings: Settings) -> set[str]:
    """The references that settings hold."""
    token = settings.token.get_secret_value() if settings.token is not None else None
    return {text for text in (token, *(getattr(settings, name) for name in _REFERRING)) if text}


def _places(home: Path) -> tuple[Path, ...]:
    """The home, and what its servers keep."""
    return tuple(Path(os.path.realpath(each)) for each in (home, *(home / name for name in _DATA)))
