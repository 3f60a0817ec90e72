"""Which account is a connector tried with? Settings and references given on the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.cli.pairs import pairs
from scheduler.connections.consent.needs import read_settings
from worker.connectors.connector import ManifestConnector
from worker.connectors.manifest.model import load_manifest

Folder = Annotated[Path, typer.Argument(help="The folder of the system, with its manifest.yaml.")]
Settings = Annotated[list[str] | None, typer.Option("--setting", help="NAME=VALUE; may be repeated.")]
Secrets = Annotated[
    list[str] | None,
    typer.Option("--secret", help="NAME=REFERENCE, such as token=env://SHOP_TOKEN; may be repeated."),
]


def settings_given(connector: ManifestConnector, given: Sequence[str] | None) -> dict[str, Any]:
    """Settings as their kinds want them; one that isn't known stays text, and is complained about by name."""
    said: Mapping[str, str] = pairs(given, "--setting")
    known = connector.manifest.settings
    return {**said, **read_settings({name: said[name] for name in said if name in known}, known.values())}


def secrets_given(given: Sequence[str] | None) -> dict[str, str]:
    """References by the names of their secrets."""
    return pairs(given, "--secret", "REFERENCE")


def connector_in(folder: Path) -> ManifestConnector:
    """What the folder describes."""
    return ManifestConnector(load_manifest(folder / "manifest.yaml"))
