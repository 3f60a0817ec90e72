"""Which texts of a manifest may hold secrets? Those of `auth`, and there only where they don't end up in a URL."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from worker.connectors.auth.bodies import Place
from worker.connectors.auth.texts import Text
from worker.connectors.auth.values import Credential
from worker.connectors.manifest.checking import Where, check_mixed_template, check_template
from worker.connectors.manifest.templates import names_in
from worker.parsing.documents import Document


def credential(found: Mapping[str, str], settings: Mapping[str, Any]) -> Credential:
    """From `{secret: name}` or `{setting: name}`."""
    if "secret" in found:
        return Credential(secret=found["secret"])
    return Credential(value=str(settings.get(found["setting"]) or ""))


def optional_secrets(document: Document) -> frozenset[str]:
    """The secrets that a connection needn't give."""
    secrets = document.data.get("secrets", {})
    return frozenset(name for name, found in secrets.items() if not found.get("required", True))


def read_texts(
    document: Document, where: Where, found: Mapping[str, Any], own: Iterable[str] = ()
) -> dict[str, Text]:
    """Texts by their names. `own`: what else may be named in them."""
    texts = {name: Text.read(text) for name, text in found.items()}
    for name, text in texts.items():
        at = (*where, name) if isinstance(found[name], str) else (*where, name, "value")
        check_mixed_template(document, at, text.value, own)
    return texts


def read_places(
    document: Document, where: Where, found: Mapping[str, Any], own: Iterable[str] = ()
) -> tuple[Place, ...]:
    """Texts by their places in a body."""
    texts = read_texts(document, where, found, own)
    numbers = {
        name for name, text in found.items() if not isinstance(text, str) and text.get("type") == "integer"
    }
    return tuple(Place(tuple(name.split(".")), text, name in numbers) for name, text in texts.items())


def check_json(document: Document, where: Where, template: Any) -> None:
    """All names in a body exist."""
    for at, text in _texts_in(template, tuple(where)):
        check_mixed_template(document, at, text)


def check_address(document: Document, where: Where, text: str) -> None:
    """All names in an address are settings that have a value; a secret would be seen there."""
    secrets = document.data.get("secrets", {})
    for name in names_in(text):
        if name in secrets and name not in document.data.get("settings", {}):
            message = f"The secret {name} can't be part of an address: addresses are logged."
            hint = "Put it into a header or the body; what the system wants in its address is a setting."
            raise document.error(where, "bad_value", message, hint=hint)
    check_template(document, where, text, optional=False)


def _texts_in(template: Any, where: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(template, str):
        yield where, template
    elif isinstance(template, Mapping | list):
        below = template.items() if isinstance(template, Mapping) else enumerate(template)
        for name, value in below:
            yield from _texts_in(value, (*where, name))
