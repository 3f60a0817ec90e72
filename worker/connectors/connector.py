"""What does a system need of a connection? A connector made from a manifest: it checks settings and binds them.

What is bound is kept: it goes with the connector, so a manifest that is read anew begins with nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker.connectors.bound import BoundSources
from worker.connectors.contract import Limits, Source
from worker.connectors.manifest.model import Manifest, settings_error, what_is_wrong
from worker.connectors.protocols.rest import RestSource
from worker.connectors.protocols.tryton import TrytonSource
from worker.parsing.documents import suggest

PROTOCOLS: Mapping[str, Callable[[Manifest, Mapping[str, Any]], Source]] = {
    "rest": RestSource,
    "tryton": TrytonSource,
}


class ManifestConnector:
    """A system that its manifest describes whole."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._bound = BoundSources()

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
        return {name: secret.required for name, secret in self.manifest.secrets.items()}

    def secrets_of(self, settings: Mapping[str, Any]) -> Mapping[str, bool]:
        del settings
        return self.secret_names

    @property
    def limits(self) -> Limits:
        return self.manifest.limits

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        self._checked(settings)

    def _checked(self, settings: Mapping[str, Any]) -> Source:
        """Refuse the first setting that is unknown, missing or wrong; then whatever doesn't make a URL together."""
        known = self.manifest.settings
        for name, value in settings.items():
            if name not in known:
                message = f"{self.title} has no setting {name!r}."
                raise settings_error("unknown_key", name, message, suggest(name, known) or None)
            if wrong := what_is_wrong(known[name], value):
                raise settings_error("bad_value", name, f"{name} {wrong}.")
        for setting in known.values():
            if setting.required and settings.get(setting.name) is None and setting.default is None:
                message = f"The setting {setting.name} is missing. {setting.description}"
                raise settings_error("missing_key", setting.name, message)
        return self._source(settings)

    def bind(self, settings: Mapping[str, Any]) -> Source:
        return self._bound.get(repr(settings), lambda: self._checked(settings))

    def _source(self, settings: Mapping[str, Any]) -> Source:
        defaults = {name: setting.default for name, setting in self.manifest.settings.items()}
        return PROTOCOLS[self.manifest.protocol](self.manifest, {**defaults, **settings})
