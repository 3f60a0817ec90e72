"""Where is a database, and what of it? The settings of a connection to one, checked before anything is opened."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from worker.connectors.manifest.settings import settings_error

ROWS = 5000
"""Of a page, where neither connection nor stream says how many."""
SECONDS = 60
_BEGIN = re.compile(r"[a-z][a-z0-9]*(\+[a-z0-9_]+)?://", re.ASCII)


@dataclass(frozen=True, slots=True)
class SqlSettings:
    """What the streams of a connection share."""

    url: str
    schema: str = ""
    """Of tables that are named without one."""
    rows: int = ROWS
    seconds: int = SECONDS


def read_settings(settings: Mapping[str, Any]) -> SqlSettings:
    """Of a connection, or `InvalidInput` that names the setting."""
    url = str(settings.get("url") or "")
    try:
        parts = _split(url)
        sound = parts.port != 0 and not parts.fragment
    except ValueError:
        sound = False
    if not sound or not url.isprintable() or " " in url:
        message = "The database's address must be like postgresql://user@host/database or sqlite:////path/to/file.db."
        raise settings_error("bad_value", "url", message)
    if ":" in parts.netloc.rpartition("@")[0]:
        message = "The database's address holds a password, and it is stored as it is."
        raise settings_error(
            "plain_secret", "url", message, "Take it out, and put it under secrets as a reference."
        )
    return SqlSettings(
        url,
        str(settings.get("schema") or ""),
        _count(settings, "page_rows", ROWS, 100_000),
        _count(settings, "statement_timeout", SECONDS, 3600),
    )


def place_of(url: str) -> str:
    """What errors call a database: its host, or what it is."""
    try:
        return _split(url).hostname or f"the {url.partition('://')[0].partition('+')[0]} database"
    except ValueError:
        return "the database"


def _split(url: str) -> SplitResult:
    """Apart. Names of drivers hold what a URL's scheme may not."""
    if not _BEGIN.match(url):
        raise ValueError(url)
    return urlsplit(f"database{url[url.index('://') :]}")


def _count(settings: Mapping[str, Any], name: str, otherwise: int, most: int) -> int:
    found = settings.get(name)
    if found is None:
        return otherwise
    if not 0 < int(found) <= most:
        raise settings_error("bad_value", name, f"{name} must be between 1 and {most}.")
    return int(found)
