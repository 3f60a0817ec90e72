"""What must somebody be asked for, so that a system can be connected? By its manifest; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Connector
from worker.connectors.manifest.auth.oauth2 import OAuth2Manifest
from worker.connectors.manifest.settings import Secret, Setting
from worker.connectors.manifest.templates import names_in
from worker.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Needs:
    """Settings and secrets to be typed in, and whether somebody must log in at the system."""

    title: str
    settings: tuple[Setting, ...]
    secrets: tuple[Secret, ...]
    consent: OAuth2Manifest | None
    chooses_address: bool = False
    """Whether what is typed in decides which host is asked."""

    @property
    def typed(self) -> bool:
        """Whether anything is to be typed in at all."""
        return bool(self.settings or self.secrets)


def read_settings(typed: Mapping[str, str], settings: Iterable[Setting]) -> dict[str, Any]:
    """What people type is text; whole numbers and switches are what the manifest calls so."""
    kinds = {each.name: each.kind for each in settings}
    found: dict[str, Any] = {}
    for name, text in typed.items():
        if kinds[name] == "integer" and text.lstrip("-").isdecimal():
            found[name] = int(text)
        elif kinds[name] == "boolean" and text.lower() in {"true", "false", "yes", "no"}:
            found[name] = text.lower() in {"true", "yes"}
        else:
            found[name] = text
    return found


def needs_of(
    connector: Connector, settings: Mapping[str, Any], secrets: Mapping[str, str], *, fixed: bool = False
) -> Needs:
    """What isn't given yet. `fixed`: of settings nothing is asked, since they decide where given secrets are sent."""
    if not isinstance(connector, ManifestConnector):
        raise InvalidInput("no_manifest", f"{connector.title} doesn't say what it needs.")
    manifest = connector.manifest_of(settings)
    consent = manifest.auth.oauth2
    if consent is not None and (consent.authorise is None or consent.refresh_token in secrets):
        consent = None
    asked = [each for each in manifest.settings.values() if each.required and each.name not in settings]
    missing = [each for each in asked if each.default is None]
    if fixed and missing:
        raise InvalidInput(
            "settings_needed",
            f"The setting {missing[0].name} must be given, since it decides where the secrets that you give are sent.",
            place="body.settings",
        )
    asked_of_them = () if fixed else tuple(missing)
    hosts = [manifest.base_url, *manifest.auth.addresses]
    by_consent = "" if consent is None else consent.refresh_token
    return Needs(
        connector.title,
        asked_of_them,
        tuple(
            each
            for each in manifest.secrets.values()
            if each.required and each.name not in secrets and each.name != by_consent
        ),
        consent,
        any(each.name in names_in(host) for each in asked_of_them for host in hosts),
    )
