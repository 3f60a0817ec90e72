"""Does what a manifest names exist in it? Complaints lead to the line, and to the nearest name that does."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from worker.connectors.manifest.templates import names_in
from worker.parsing.documents import Document, suggest

Where = Sequence[str | int]


def check_setting(document: Document, where: Where, name: str) -> None:
    """There is such a setting."""
    _check_known(document, where, name, "setting", document.data.get("settings", {}))


def check_secret(document: Document, where: Where, name: str) -> None:
    """There is such a secret."""
    _check_known(document, where, name, "secret", document.data.get("secrets", {}))


def check_credential(document: Document, where: Where, found: Mapping[str, str]) -> None:
    """What a {setting: name} or {secret: name} names is there."""
    if "secret" in found:
        check_secret(document, (*where, "secret"), found["secret"])
    else:
        check_setting(document, (*where, "setting"), found["setting"])


def check_template(document: Document, where: Where, text: str, *, optional: bool) -> None:
    """All names of a text are settings; one that may not be left out has a value in any case."""
    for name in names_in(text):
        check_setting(document, where, name)
        setting: Mapping[str, Any] = document.data["settings"][name]
        if not optional and not setting.get("required") and setting.get("default") is None:
            message = f"The setting {name} is used here, so it must be required or have a default."
            raise document.error(where, "bad_value", message)


def check_mixed_template(document: Document, where: Where, text: str, own: Iterable[str] = ()) -> None:
    """All names of a text are settings, secrets, or among those that mean something here by themselves."""
    settings, secrets, here = (
        document.data.get("settings", {}),
        document.data.get("secrets", {}),
        frozenset(own),
    )
    for name in names_in(text):
        if name in here:
            continue
        if name in settings and name in secrets:
            message = f"{name} is both a setting and a secret: nobody can tell which {{{name}}} is."
            raise document.error(where, "bad_value", message, hint="Give one of them another name.")
        if name not in settings and name not in secrets:
            message = f"There is no setting and no secret {name!r} in this manifest."
            hint = suggest(name, [*settings, *secrets, *here]) or None
            raise document.error(where, "bad_value", message, hint=hint)


def _check_known(document: Document, where: Where, name: str, what: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        message = f"There is no {what} {name!r} in this manifest."
        raise document.error(where, "bad_value", message, hint=suggest(name, known) or None)
