"""Which account is a connector tried with? Settings and references given on the command line."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from worker.connectors.connector import ManifestConnector
from worker.connectors.manifest.model import load_manifest

Folder = Annotated[Path, typer.Argument(help="The folder of the system, with its manifest.yaml.")]
Settings = Annotated[list[str] | None, typer.Option("--setting", help="NAME=VALUE; may be repeated.")]
Secrets = Annotated[
    list[str] | None,
    typer.Option("--secret", help="NAME=REFERENCE, such as token=env://SHOP_TOKEN; may be repeated."),
]


def pairs(given: Iterable[str] | None, option: str) -> dict[str, str]:
    """Names and values."""
    found = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{option} is NAME=VALUE.")
        found[name] = value
    return found


def typed(connector: ManifestConnector, given: dict[str, str]) -> dict[str, object]:
    """Settings as their kinds want them; what can't be stays text, and is complained about by name."""
    found: dict[str, object] = {}
    for name, value in given.items():
        known = connector.manifest.settings.get(name)
        if known is not None and known.kind == "integer" and value.lstrip("-").isdecimal():
            found[name] = int(value)
        elif known is not None and known.kind == "boolean" and value in {"true", "false"}:
            found[name] = value == "true"
        else:
            found[name] = value
    return found


def connector_in(folder: Path) -> ManifestConnector:
    """What the folder describes."""
    return ManifestConnector(load_manifest(folder / "manifest.yaml"))
