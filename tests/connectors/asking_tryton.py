"""A real Tryton asked without the engine, and what the ERP itself says of the same records."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connectors.asking import Asking
from servers.systems.tryton.client import read_json
from servers.systems.tryton.server import TrytonServer

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Record
from worker.connectors.manifest.model import Manifest, load_manifest
from worker.connectors.manifest.streams.presets import TRYTON_TIMES
from worker.connectors.registry.places import CATALOG

PAGE = 40
TICK = timedelta(microseconds=1)
MANIFEST = replace(load_manifest(CATALOG / "tryton" / "manifest.yaml"), rpc_size=PAGE)


def ask(tryton: TrytonServer, *, manifest: Manifest = MANIFEST, **settings: str) -> Asking:
    own = {"base_url": tryton.base_url, "database": tryton.database, "username": tryton.username}
    source = ManifestConnector(manifest).bind({**own, **settings})
    return Asking(source, {"password": tryton.password})


def fields_of(stream: str) -> list[str]:
    return ["id", *MANIFEST.streams[stream].fields, *TRYTON_TIMES]


def truth(tryton: TrytonServer, stream: str, domain: Sequence[Any] = ()) -> dict[str, Mapping[str, Any]]:
    """What the ERP says of the stream's records, by key."""
    model = MANIFEST.streams[stream].model
    return {str(row["id"]): row for row in tryton.erp.rows(model, domain, fields_of(stream))}


def contents(records: Sequence[Record]) -> dict[str, Mapping[str, Any]]:
    return {record.key: read_json(record.raw) for record in records}


def changed_at(row: Mapping[str, Any]) -> datetime:
    found = row["write_date"] or row["create_date"]
    assert isinstance(found, datetime)
    return found


def newest(tryton: TrytonServer, stream: str) -> datetime:
    """The last change that the ERP knows of: an increment begins behind it."""
    return max(changed_at(row) for row in truth(tryton, stream).values())
