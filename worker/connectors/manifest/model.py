"""What does a manifest say? A file, checked by the schema and by what a schema can't see, becomes frozen data.

Every complaint names the file, the line and the field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from worker.connectors.contract import Limits
from worker.connectors.hooks.loading import LoadedHook, hook_beside
from worker.connectors.manifest.about import About, read_about
from worker.connectors.manifest.auth import AuthManifest, read_auth
from worker.connectors.manifest.checking import check_setting, check_template
from worker.connectors.manifest.errors import read_errors
from worker.connectors.manifest.limits import read_limits
from worker.connectors.manifest.requests import templates_in
from worker.connectors.manifest.schema import schema
from worker.connectors.manifest.settings import Secret, Setting, read_secrets, read_settings
from worker.connectors.manifest.singer import SingerManifest, read_singer
from worker.connectors.manifest.streams.reading import read_streams
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.manifest.views.mapping import ModelMapping
from worker.connectors.manifest.views.tables import read_model_mappings
from worker.connectors.manifest.views.zones import zones_in
from worker.connectors.manifest.webhooks.hooks import WebhooksManifest
from worker.connectors.manifest.webhooks.reading import read_webhooks
from worker.connectors.refusals.refusals import Refusals
from worker.parsing.documents import Document, load_document, validate

FIRST_VERSION = "1.0.0"
"""Of a manifest that doesn't say which it is."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One system."""

    system: str
    version: str
    title: str
    docs: str | None
    protocol: str
    base_url: str
    settings: Mapping[str, Setting]
    secrets: Mapping[str, Secret]
    auth: AuthManifest
    headers: Mapping[str, str]
    params: Mapping[str, str | Sequence[str]]
    limits: Limits
    errors: Refusals
    rpc_path: str
    rpc_size: int
    streams: Mapping[str, StreamManifest]
    models: tuple[ModelMapping, ...] = ()
    webhooks: WebhooksManifest | None = None
    body: Any = None
    """What the body of every request holds."""
    singer: SingerManifest = field(default_factory=SingerManifest)
    """How a tap is called."""
    open: tuple[str, ...] = ()
    """Sections that a connection may add to, in `describe`."""
    document: Document | None = field(default=None, repr=False, compare=False)
    """As it was written, where a connection may add to it."""
    about: About = field(default_factory=About)
    hook: LoadedHook | None = field(default=None, compare=False)
    """Python of its own, where its words end."""
    zones: tuple[str, ...] = ()
    """Settings that name the time zones of its models."""

    def zones_of(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """What a connection says there."""
        known = {name: self.settings[name] for name in self.zones}
        return {name: str(each.meant(settings.get(name, each.default))) for name, each in known.items()}


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest; `InvalidInput` for the first thing that is wrong with it."""
    return manifest_from(load_document(path), path.parent)


def manifest_from(document: Document, folder: Path) -> Manifest:
    """The same of a document that was read from this folder."""
    manifest = manifest_in(document)
    if folder.name != document.data["system"]:
        message = f"The folder is called {folder.name!r}, the system {document.data['system']!r}."
        raise document.error(("system",), "bad_value", message, hint="Give both the same name.")
    if "hook" not in document.data:
        return manifest
    return replace(manifest, hook=hook_beside(document, folder))


def manifest_in(document: Document) -> Manifest:
    """The same of a document that doesn't lie in a folder of its own."""
    validate(document, schema())
    return read_manifest(document)


def read_manifest(document: Document) -> Manifest:
    """The manifest in a document that fits the schema."""
    data = document.data
    request, rpc = (data.get(key, {}) for key in ("request", "tryton"))
    settings = read_settings(document)
    _check_names(document)
    models = read_model_mappings(document, list(data.get("streams", ())))
    return Manifest(
        system=data["system"],
        version=data.get("version", FIRST_VERSION),
        title=data["title"],
        docs=data.get("docs"),
        protocol=data["protocol"],
        base_url=data["base_url"],
        settings=settings,
        secrets=read_secrets(document),
        auth=read_auth(document),
        headers=request.get("headers", {}),
        params=request.get("params", {}),
        limits=read_limits(document),
        errors=read_errors(document),
        rpc_path=rpc.get("path", "/{database}/rpc/"),
        rpc_size=rpc.get("size", 500),
        streams=read_streams(document, data["protocol"]),
        models=models,
        zones=zones_in(models),
        webhooks=read_webhooks(document),
        body=request.get("body"),
        singer=read_singer(document),
        open=tuple(data.get("open", ())),
        about=read_about(data),
        document=document if "open" in data else None,
    )


def _check_names(document: Document) -> None:
    for where, found in _streams(document.data):
        for part, about in _parts_of_deletes(found):
            if "setting" in about:
                check_setting(document, (*where, "deletes", part, "setting"), about["setting"])
    for where, found in [(("request",), document.data.get("request", {})), *_streams(document.data)]:
        for path, name in templates_in(found, where):
            optional = not {"conditions", "incremental"} & {*path} and path[-2:] != ("single", "by")
            check_template(document, path, f"{{{name}}}", optional=optional)
    for path, text in _templates(document.data):
        optional = bool({"params", "headers"} & {*path})
        check_template(document, path, text, optional=optional)


def _templates(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("base_url",), data["base_url"]
    yield from _params(data.get("request", {}), ("request",))
    if data["protocol"] == "tryton":
        yield ("tryton", "path"), data.get("tryton", {}).get("path", "/{database}/rpc/")
    streams = _streams(data)
    for where, found in list(streams):
        streams += [((*where, "deletes", part), about) for part, about in _parts_of_deletes(found)]
    for where, found in streams:
        single = found.get("single", {})
        yield from _params(single, (*where, "single"))
        if "path" in single:
            yield (*where, "single", "path"), single["path"].replace("{key}", "")
        if "path" in found:
            yield (*where, "path"), found["path"]
        yield from _params(found, where)


def _params(found: Mapping[str, Any], where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for group in ("headers", "params"):
        for name, value in found.get(group, {}).items():
            texts = [value] if isinstance(value, str) else value
            yield from (((*where, group, name), text.replace("{key}", "")) for text in texts)


def _streams(data: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """The streams as they stand in the file, and what they have in common."""
    named = [(("streams", name), found) for name, found in data.get("streams", {}).items()]
    return [(("defaults",), data.get("defaults", {})), *named]


def _parts_of_deletes(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What asks the system for deletes: the list of them, and the sweep."""
    for part in ("tombstones", "sweep"):
        if isinstance(about := found.get("deletes", {}).get(part), Mapping):
            yield part, about
