"""What does a text of the section `auth` become? `{name}` is a setting, a secret, or what a log-in brought.

    "token {key}:{secret}"                                       as it is
    {value: "{user}:{password}", encode: base64}                 encoded as a whole
    {value: "{user}:{password}", encode: base64, prefix: "Basic "}

Filled in one pass, so nothing that a secret holds is taken for a name. A text with an optional name that isn't given is
left out.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.connectors.auth.values import open_named
from worker.errors import NeedsOperator

_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_NOTHING: Mapping[str, str] = {}

ENCODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64url": lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"="),
    "hex": lambda raw: raw.hex().encode(),
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text as a manifest has it."""

    value: str
    encode: str | None = None
    prefix: str = ""

    @classmethod
    def read(cls, found: str | Mapping[str, str]) -> "Text":
        """From the manifest, as it fits the schema."""
        if isinstance(found, str):
            return cls(found)
        return cls(found["value"], found.get("encode"), found.get("prefix", ""))


@dataclass(frozen=True, slots=True)
class Names:
    """What names stand for, for one connection."""

    settings: Mapping[str, Any]
    """Those that are given."""
    optional: frozenset[str] = frozenset()
    """Settings that aren't given, and secrets that needn't be."""

    @classmethod
    def of(cls, settings: Mapping[str, Any], optional_secrets: frozenset[str]) -> "Names":
        given = {name: value for name, value in settings.items() if value is not None}
        return cls(given, optional_secrets | (settings.keys() - given.keys()))

    def fill(
        self, template: str, secrets: Mapping[str, str], more: Mapping[str, str] = _NOTHING
    ) -> str | None:
        """The text; None if something optional in it isn't given. `more` comes before settings, these before secrets."""
        found: dict[str, str] = {}
        for name in _NAME.findall(template):
            if name in more:
                found[name] = more[name]
            elif name in self.settings:
                value = self.settings[name]
                found[name] = str(value).lower() if isinstance(value, bool) else str(value)
            elif name in self.optional and name not in secrets:
                return None
            else:
                found[name] = open_named(secrets, name)
        return _NAME.sub(lambda match: found[match[1]], template)

    def text(self, text: Text, secrets: Mapping[str, str], more: Mapping[str, str] = _NOTHING) -> str | None:
        """The same, encoded as it says."""
        filled = self.fill(text.value, secrets, more)
        if filled is None:
            return None
        if text.encode is not None:
            filled = ENCODINGS[text.encode](filled.encode("utf-8", "surrogatepass")).decode()
        return text.prefix + filled

    def headers(
        self, texts: Mapping[str, Text], secrets: Mapping[str, str], more: Mapping[str, str] = _NOTHING
    ) -> dict[str, str]:
        """Headers, without those that are left out. What no header can carry is refused by the header's name."""
        written = {name: self.text(text, secrets, more) for name, text in texts.items()}
        return {name: _carried(name, value) for name, value in written.items() if value is not None}

    def json(self, template: Any, secrets: Mapping[str, str]) -> Any:
        """JSON with its texts filled. A text that is nothing but a setting keeps that setting's type."""
        if isinstance(template, str):
            whole = _NAME.fullmatch(template)
            if whole is not None and whole[1] in self.settings:
                return self.settings[whole[1]]
            return self.fill(template, secrets)
        if isinstance(template, Mapping):
            filled = {name: self.json(value, secrets) for name, value in template.items()}
            return {
                name: value for name, value in filled.items() if value is not None or template[name] is None
            }
        return [self.json(value, secrets) for value in template] if isinstance(template, list) else template


def _carried(header: str, value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise NeedsOperator(
            "bad_secret",
            f"What the header {header} is made of holds a line end or a character that no header can carry.",
            hint="Check what the references of the connection's secrets lead to.",
        )
    return value
