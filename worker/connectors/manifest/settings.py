"""What must or may a connection say, and which values may it give?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.errors import InvalidInput
from worker.parsing.documents import Document, nearest
from worker.parsing.durations import format_duration, parse_duration

_KINDS: Mapping[str, tuple[type, str]] = {
    "string": (str, "text"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a connection must or may say."""

    name: str
    kind: str
    required: bool
    default: Any
    description: str
    pattern: str | None
    choices: tuple[str, ...] = ()
    """The only values there are; none: any."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What stands for a choice wherever the setting is used, such as a region's host."""

    @property
    def told(self) -> str:
        """What whoever types it in is told."""
        return f"{self.description} One of: {', '.join(self.choices)}." if self.choices else self.description

    def meant(self, value: Any) -> Any:
        """What stands for a value where it is used."""
        return self.values.get(value, value) if self.values else value


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that a connection must or may reference."""

    name: str
    required: bool
    description: str
    find: str | None
    lasts: float | None = None
    """For how many seconds the system takes one that it gave out; None: nobody says."""

    @property
    def told(self) -> str:
        """What whoever types it in is told."""
        end = None if self.lasts is None else f"The system takes it for {format_duration(self.lasts)}."
        return " ".join(filter(None, (self.description, self.find, end)))


def read_settings(document: Document) -> dict[str, Setting]:
    """All of them by their names; the first that can't be is complained about."""
    return {
        name: _setting(document, name, found) for name, found in document.data.get("settings", {}).items()
    }


def read_secrets(document: Document) -> dict[str, Secret]:
    """All of them by their names."""
    return {
        name: Secret(
            name,
            found.get("required", True),
            found["description"],
            found.get("find"),
            parse_duration(found["lasts"]) if "lasts" in found else None,
        )
        for name, found in document.data.get("secrets", {}).items()
    }


def what_is_wrong(setting: Setting, value: Any) -> str | None:
    """Why a value can't be this setting, in words; None if it can."""
    kind, words = _KINDS[setting.kind]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f"must be {words}"
    if isinstance(value, str):
        if not value.isprintable() or len(value) > 2000:
            return "must be one line of at most 2,000 printable characters"
        if setting.choices and value not in setting.choices:
            meant = nearest(value, setting.choices)
            return f"must be one of {', '.join(setting.choices)}" + (f"; {meant}?" if meant else "")
        if setting.pattern and not re.fullmatch(setting.pattern, value):
            return f"doesn't fit: {setting.description}"
    return None


def settings_error(code: str, name: str, message: str, hint: str | None = None) -> InvalidInput:
    """What is wrong with a connection's setting."""
    return InvalidInput(code, message, place=f"settings.{name}", hint=hint)


def _setting(document: Document, name: str, found: Mapping[str, Any]) -> Setting:
    where = ("settings", name)
    pattern = found.get("pattern")
    try:
        re.compile(pattern or "")
    except re.error as exc:
        message = f"The pattern of {name} is no regular expression: {exc}."
        raise document.error((*where, "pattern"), "bad_value", message) from None
    choices = found.get("values", ())
    given = choices if isinstance(choices, Mapping) else {}
    setting = Setting(
        name=name,
        kind=found.get("type", "string"),
        required=found.get("required", False),
        default=found.get("default"),
        description=found["description"],
        pattern=pattern,
        choices=tuple(choices),
        values=given,
    )
    if setting.choices and setting.kind != "string":
        message = f"{name} is {_KINDS[setting.kind][1]}; only a text can be one of several."
        raise document.error((*where, "values"), "bad_value", message)
    if setting.default is not None and (wrong := what_is_wrong(setting, setting.default)):
        raise document.error((*where, "default"), "bad_value", f"The default of {name} {wrong}.")
    return setting
