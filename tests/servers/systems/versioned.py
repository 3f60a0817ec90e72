"""A system of the test's own, whose manifest is edited under a connection to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.inline import InlineRuns
from servers.systems.scripted import Asked, Said, Scripted, scripted_source

from scheduler.access.audit import COMMAND_LINE
from scheduler.connections.editing.edit import Editor
from scheduler.connections.upgrading.pinning import tend_pins
from scheduler.connections.upgrading.step import Given, Step, take_step
from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.services import Services

MANIFEST = """\
manifest: 1
system: ours
version: {version}
title: Ours
protocol: rest
base_url: "{{base_url}}"
settings:
  base_url: {{required: true, description: Where it lives.}}
{settings}streams:
  parts:
    path: /parts
    records: ""
    key: {key}
    incremental: {{field: {field}, param: since, ordered: true}}
    {more}
  notes: {{path: /notes, records: "", key: id}}
"""


@dataclass
class Plant(InlineRuns):
    """A connection to the system, whose runs are carried out here and now."""

    system: ClassVar = "ours"

    services: Services
    source: Scripted
    folder: Path
    connection: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)

    def write(
        self, version: str, *, key: str = "id", field: str = "changed", more: str = "", settings: str = ""
    ) -> str:
        """Edit the manifest, and let this process see it; the version that it has now."""
        path = self.folder / "ours" / "manifest.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MANIFEST.format(version=version, key=key, field=field, more=more, settings=settings))
        self.services.registry.look()
        return self.services.registry.edition("ours").version

    def connect(self) -> None:
        row = self.services.database.one(
            "INSERT INTO connections (name, system, settings) VALUES ('plant', 'ours', %(s)s) RETURNING id",
            {"s": Jsonb({"base_url": self.source.base_url})},
        )
        assert row is not None
        self.connection = row["id"]
        tend_pins(self.services.database, self.services.registry)

    def sync(self, stream: int) -> dict[str, Any]:
        """One live run, and what hangs on it; how the live run ended."""
        run = self.request(stream)
        carry_out(self.services, run)
        self.carry_out_ready()
        return self.outcome(run)

    def go(self, **given: Any) -> Step:
        """To the version in the file."""
        services = self.services
        target = services.registry.edition("ours")
        return take_step(
            services.database,
            services.registry,
            self.connection,
            target,
            given=Given(**given),
            editor=Editor(COMMAND_LINE),
        )

    def back(self) -> Step:
        """To the version before."""
        services, before = self.services, self.row()["manifest_before"]
        target = services.registry.exact("ours", before["version"])
        return take_step(
            services.database,
            services.registry,
            self.connection,
            target,
            given=Given(),
            editor=Editor(COMMAND_LINE),
        )

    def row(self) -> dict[str, Any]:
        row = self.services.database.one(
            "SELECT * FROM connections WHERE id = %(id)s", {"id": self.connection}
        )
        assert row is not None
        return dict(row)

    def copy(self, stream: int) -> dict[str, str | None]:
        """Each key, and why it is gone."""
        rows = self.services.database.all(
            "SELECT key, delete_reason FROM records WHERE stream_id = %(s)s ORDER BY key", {"s": stream}
        )
        return {row["key"]: row["delete_reason"] for row in rows}

    def cursors(self, stream: int) -> dict[str, Any]:
        rows = self.services.database.all(
            "SELECT track || slice AS place, watermark FROM cursors WHERE stream_id = %(s)s AND track = 'live'",
            {"s": stream},
        )
        return {row["place"]: row["watermark"] for row in rows}

    def asked(self) -> list[str]:
        """The requests since the last time."""
        asked = [each.path for each in self.source.asked]
        self.source.asked.clear()
        return asked

    def answer(self, asked: Asked) -> Said:
        query = parse_qs(urlsplit(asked.path).query)
        if not asked.path.startswith("/parts"):
            return Said(b'[{"id": 1}]')
        since = query.get("since")
        found = self.parts
        if since:
            found = [part for part in found if _time(part["changed"]) >= _time(since[0])]
        return Said(json.dumps(sorted(found, key=lambda part: part["changed"])).encode())


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@contextmanager
def running_plant(database_url: str, broker_url: str, folder: Path) -> Iterator[Plant]:
    """Its manifest is in version 1.0.0, and nothing was read yet."""
    with scripted_source(lambda _: Said(b"[]")) as source:
        folder.mkdir()
        settings = load_settings(
            database_url=SecretStr(database_url),
            broker_url=SecretStr(broker_url),
            connectors=(folder,),
            short_wait=0.5,
        )
        services = Services.open(settings, name="test")
        plant = Plant(services, source, folder)
        source.script = plant.answer
        plant.parts = [part(n) for n in range(1, 4)]
        plant.write("1.0.0")
        plant.connect()
        yield plant
        services.close()


def part(n: int, **more: Any) -> dict[str, Any]:
    """A record, changed on a day of its own."""
    day = f"2026-11-2{n}T"
    return {
        "id": n,
        "number": f"P{n}",
        "rev": n,
        "changed": f"{day}08:00:00Z",
        "touched": f"{day}09:00:00Z",
    } | more
