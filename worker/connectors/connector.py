"""What does a system need of a connection? A connector made from a manifest: it checks settings and binds them.

What is bound is kept: it goes with the connector, so a manifest that is read anew begins with nothing.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from worker.connectors.bound import Kept
from worker.connectors.contract import Limits, Source
from worker.connectors.describing import DESCRIBE, Descriptions
from worker.connectors.describing.described import digest
from worker.connectors.hooks.source import HookedSource
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.settings import settings_error, what_is_wrong
from worker.connectors.manifest.streams.zones import check_zones, with_zones
from worker.connectors.protocols.odata.source import ODataSource
from worker.connectors.protocols.odoo import OdooSource
from worker.connectors.protocols.rest import RestSource
from worker.connectors.protocols.singer import SingerSource
from worker.connectors.protocols.sql import SqlSource
from worker.connectors.protocols.tryton import TrytonSource
from worker.parsing.documents import suggest
from worker.parsing.given import Given

PROTOCOLS: Mapping[str, Callable[[Manifest, Mapping[str, Any]], Source]] = {
    "rest": RestSource,
    "graphql": RestSource,
    "odata": ODataSource,
    "odoo": OdooSource,
    "odoo_jsonrpc": OdooSource,
    "tryton": TrytonSource,
    "sql": SqlSource,
    "singer": SingerSource,
}


FEW = 20
"""A source of fewer streams counts for one of those that are kept."""


class ManifestConnector:
    """A system that its manifest describes, and where that is open, a connection's settings with it."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._bound = Kept[Source](weight=lambda source: 1 + len(source.stream_names) // FEW)
        self._descriptions = Descriptions(manifest)

    @property
    def system(self) -> str:
        return self.manifest.system

    @property
    def title(self) -> str:
        return self.manifest.title

    @property
    def stream_names(self) -> Sequence[str]:
        return list(self.manifest.streams)

    @property
    def secret_names(self) -> Mapping[str, bool]:
        return _secrets(self.manifest)

    def secrets_of(self, settings: Mapping[str, Any]) -> Mapping[str, bool]:
        return _secrets(self.manifest_of(settings))

    @property
    def limits(self) -> Limits:
        return Limits() if "limits" in self.manifest.open else self.manifest.limits

    @property
    def open(self) -> bool:
        """Whether connections may describe streams and more of their own."""
        return bool(self.manifest.open)

    def manifest_of(self, settings: Mapping[str, Any]) -> Manifest:
        """The manifest, with what these settings describe."""
        return self._descriptions.of(settings)

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        self._checked(settings)

    def _checked(self, settings: Mapping[str, Any]) -> Source:
        """Refuse the first setting that is unknown, missing or wrong; then whatever doesn't make a URL together."""
        manifest = self.manifest_of(settings)
        known = manifest.settings
        for name, value in settings.items():
            if name == DESCRIBE and manifest.open:
                continue
            if name not in known:
                message = f"{self.title} has no setting {name!r}."
                raise settings_error("unknown_key", name, message, suggest(name, known) or None)
            if wrong := what_is_wrong(known[name], value):
                raise settings_error("bad_value", name, f"{name} {wrong}.")
        for setting in known.values():
            if setting.required and settings.get(setting.name) is None and setting.default is None:
                message = f"The setting {setting.name} is missing. {setting.description}"
                raise settings_error("missing_key", setting.name, message)
        return self._source(manifest, settings)

    def bind(self, settings: Mapping[str, Any]) -> Source:
        return self._bound.get(_key(settings), lambda: self._checked(settings))

    def _source(self, manifest: Manifest, settings: Mapping[str, Any]) -> Source:
        known = manifest.settings
        given = {name: setting.default for name, setting in known.items()} | {**settings}
        whole = {name: known[name].meant(value) if name in known else value for name, value in given.items()}
        if (streams := with_zones(manifest.streams, whole)) is not manifest.streams:
            manifest = replace(manifest, streams=streams)
        check_zones(manifest.zones_of(settings))
        source = PROTOCOLS[manifest.protocol](manifest, whole)
        return source if manifest.hook is None else HookedSource(source, manifest.hook, whole)


def _key(settings: Mapping[str, Any]) -> Hashable:
    """Differs where settings differ in anything; short, however much they describe."""
    if isinstance(settings, Given):
        return settings.key
    if DESCRIBE not in settings:
        return repr(settings)
    others = {name: value for name, value in settings.items() if name != DESCRIBE}
    return repr(others), digest(settings[DESCRIBE])


def _secrets(manifest: Manifest) -> Mapping[str, bool]:
    return {name: secret.required for name, secret in manifest.secrets.items()}
