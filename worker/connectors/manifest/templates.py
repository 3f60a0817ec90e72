"""What does a text with `{names}` become for one connection's settings?

A setting can't break out of its place: in a path it is percent-encoded, in a host only what a host name can hold is
taken, in a header no line ends.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from worker.errors import InvalidInput

_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PART_OF_URL = re.compile(r"[A-Za-z0-9._~:-]+\Z")


def names_in(template: str) -> list[str]:
    """The settings that a text asks for."""
    return _NAME.findall(template)


def fill(template: str, settings: Mapping[str, Any]) -> str | None:
    """The text with its settings; None if one of them isn't given."""
    if any(settings.get(name) is None for name in names_in(template)):
        return None
    return _NAME.sub(lambda match: as_text(settings[match[1]]), template)


def fill_all(templates: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, str]:
    """Names and filled texts, without those whose settings aren't given."""
    filled = {name: fill(template, settings) for name, template in templates.items()}
    return {name: text for name, text in filled.items() if text is not None}


def fill_path(template: str, settings: Mapping[str, Any]) -> str:
    """A path of a URL; slashes in a setting stay, everything else that means something in URLs is encoded."""
    path = _NAME.sub(lambda match: quote(as_text(settings.get(match[1]) or ""), safe="/"), template)
    if any(part in {".", ".."} for part in path.split("/")):
        raise InvalidInput(
            "bad_value", f"The path {path!r} may not hold . or .. as a part.", place="settings"
        )
    return path


def fill_base_url(template: str, settings: Mapping[str, Any]) -> str:
    """Where the system lives, checked: http or https, a host, nothing after the path."""
    names = names_in(template)
    stem = template.partition("/")[0]
    first = names[0] if names and stem == f"{{{names[0]}}}" else None
    place = f"settings.{names[0]}" if names else "base_url"
    for name in names:
        if name != first and not _PART_OF_URL.match(as_text(settings.get(name) or "")):
            raise InvalidInput("bad_value", f"{name} can't be part of a URL.", place=f"settings.{name}")
    if first is not None:  # a whole URL, or nothing that stands there makes one
        settings = {**settings, first: as_text(settings.get(first) or "").rstrip("/")}
    url = fill(template, settings) or ""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or {" ", "\\"} & set(url):
        raise InvalidInput(
            "bad_value", "The base URL must be like https://host or https://host:8080/path.", place=place
        )
    if "@" in parts.netloc:
        message = "The base URL may hold no user or password."
        raise InvalidInput(
            "plain_secret", message, place=place, hint="Put them under secrets, as references."
        )
    if parts.query or parts.fragment:
        raise InvalidInput("bad_value", "The base URL may have no ? or # part.", place=place)
    return url.rstrip("/")


def as_text(value: Any) -> str:
    """A setting as systems expect it: true and false in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def unknown_names(templates: Iterable[str], known: Iterable[str]) -> list[str]:
    """Names that no setting has."""
    settings = set(known)
    return [name for template in templates for name in names_in(template) if name not in settings]
