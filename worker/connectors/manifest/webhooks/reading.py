"""What does a manifest say of webhooks? `webhooks:` becomes frozen data, or a complaint with its line."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from worker.connectors.manifest.streams.zones import ZoneSetting, zone_named
from worker.connectors.manifest.webhooks.hooks import WebhooksManifest
from worker.connectors.manifest.webhooks.mapping import EventMapping, Place, Rule, When
from worker.connectors.manifest.webhooks.proving import AT, read_handshake, read_schemes, read_where
from worker.connectors.manifest.webhooks.registration_reading import read_registration
from worker.connectors.reading.shape import field_path_of
from worker.connectors.spelled import is_spelled, what_is_wrong
from worker.parsing.documents import Document, suggest
from worker.webhooks.paths import ALL


def read_webhooks(document: Document) -> WebhooksManifest | None:
    """What a document says that fits the schema; None: nothing."""
    found = document.data.get("webhooks")
    if found is None:
        return None
    schemes = read_schemes(document)
    return WebhooksManifest(
        schemes=schemes,
        events=_mapping(document, found),
        handshake=read_handshake(document),
        register=read_registration(document, schemes),
    )


def _mapping(document: Document, found: Mapping[str, Any]) -> EventMapping:
    at = found.get("at")
    if "batch" in found and ALL in field_path_of(found["batch"]):
        raise document.error((*AT, "batch"), "bad_value", "A batch is one list: its path holds no *.")
    return EventMapping(
        rules=tuple(
            _rule(document, (*AT, "events", number), rule) for number, rule in enumerate(found["events"])
        ),
        batch=field_path_of(found["batch"]) if "batch" in found else None,
        id=_place(document, (*AT, "id"), found["id"]) if "id" in found else None,
        type=_places(document, (*AT, "type"), found.get("type")),
        at=None if at is None else _when(document, at),
    )


def _when(document: Document, at: Any) -> When:
    """When an event happened."""
    said = at if isinstance(at, Mapping) else {}
    form, name = said.get("format", "iso8601"), said.get("zone", "UTC")
    if is_spelled(form) and (wrong := what_is_wrong(form)) is not None:
        raise document.error((*AT, "at", "format"), "bad_value", wrong)
    try:
        zone = zone_named(name)
    except ValueError as exc:
        raise document.error((*AT, "at", "zone"), "bad_value", str(exc)) from None
    if isinstance(zone, ZoneSetting):
        message = "The zone of an event's time is named here, not by a setting."
        raise document.error((*AT, "at", "zone"), "bad_value", message)
    return When(_place(document, (*AT, "at"), said.get("field", at)), form, zone)


def _rule(document: Document, where: Sequence[str | int], found: Mapping[str, Any]) -> Rule:
    known = document.data["streams"]
    if found["stream"] not in known:
        message = f"There is no stream {found['stream']!r} in this manifest."
        hint = suggest(found["stream"], known) or None
        raise document.error((*where, "stream"), "bad_value", message, hint=hint)
    deleted = found.get("deleted", False)
    if deleted and "key" not in found:
        raise document.error(where, "bad_value", "What is deleted must be named by its key.")
    if found.get("believed", False) and not deleted:
        raise document.error((*where, "believed"), "bad_value", "Only a delete is believed, or not.")
    types = found.get("type", "*")
    return Rule(
        stream=found["stream"],
        types=(types,) if isinstance(types, str) else tuple(types),
        where=read_where(found),
        key=_places(document, (*where, "key"), found.get("key")),
        record=field_path_of(found["record"]) if "record" in found else None,
        deleted=deleted,
        believed=found.get("believed", False),
    )


def _places(document: Document, where: Sequence[str | int], found: Any) -> tuple[Place, ...]:
    """One, or a list of them: the parts of a composite key, or of a type."""
    if found is None:
        return ()
    if isinstance(found, list):
        return tuple(_place(document, (*where, number), one) for number, one in enumerate(found))
    return (_place(document, where, found),)


def _place(document: Document, where: Sequence[str | int], found: Any) -> Place:
    if isinstance(found, str):
        return Place(path=field_path_of(found))
    pattern = None
    if "pattern" in found:
        try:
            pattern = re.compile(found["pattern"])
        except re.error as exc:
            message = f"This is no regular expression: {exc}."
            raise document.error((*where, "pattern"), "bad_value", message) from None
    if "header" in found:
        return Place(header=found["header"].lower(), pattern=pattern)
    return Place(path=field_path_of(found["path"]), pattern=pattern)
