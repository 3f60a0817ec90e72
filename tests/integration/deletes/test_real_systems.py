"""Deletes at a real ERP and a real OData service are found: by a sweep and a question for one record."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from servers.systems.cap import CapService
from servers.systems.tryton.server import TrytonServer

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import Services

pytestmark = pytest.mark.integration

CONNECTORS = Path(__file__).parents[2] / "connectors"
Runs = Callable[..., dict[str, Any]]


@pytest.fixture
def services(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Services]:
    settings = load_settings(
        home=tmp_path / "home", database_url=database_url, broker_url=broker_url, connectors=(CONNECTORS,)
    )
    opened = Services.open(settings, name="test")
    yield opened
    opened.close()


def connected(
    services: Services, tmp_path: Path, system: str, stream: str, password: str, **settings: Any
) -> Runs:
    """A connection with one stream; carries out a run of a track and all that follows from it."""
    secret = tmp_path / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    row = services.database.one(
        "WITH made AS (INSERT INTO connections (name, system, settings, secrets)"
        " VALUES ('erp', %(system)s, %(settings)s, %(secrets)s) RETURNING id)"
        " INSERT INTO streams (connection_id, name, bucket, schedule)"
        " SELECT id, %(stream)s, 3, '{\"every\": 900}' FROM made RETURNING id",
        {
            "system": system,
            "stream": stream,
            "settings": Jsonb(settings),
            "secrets": Jsonb({"password": f"file://{secret}"}),
        },
    )
    assert row is not None

    def run(track: str) -> dict[str, Any]:
        with services.database.transaction() as tx:
            wanted = request_run(
                tx,
                stream_id=row["id"],
                system=system,
                lane=Lane.ON_DEMAND,
                cause="cli",
                request_id="r",
                track=track,
            )
        while queued := services.database.all("SELECT id FROM runs WHERE not_before <= now()"):
            for each in queued:
                carry_out(services, each["id"])
        found = services.database.one("SELECT * FROM run_history WHERE id = %(r)s", {"r": wanted.id})
        assert found is not None
        return dict(found)

    return run


def tombstones(services: Services) -> dict[str, str]:
    rows = services.database.all("SELECT key, delete_reason FROM records WHERE deleted_at IS NOT NULL")
    return {row["key"]: row["delete_reason"] for row in rows}


def living(services: Services) -> set[str]:
    return {row["key"] for row in services.database.all("SELECT key FROM records WHERE deleted_at IS NULL")}


def test_a_party_that_is_deleted_in_tryton(services: Services, tryton: TrytonServer, tmp_path: Path) -> None:
    kept, gone = tryton.erp.create("party.party", [{"name": "Stays"}, {"name": "Goes"}])
    run = connected(
        services,
        tmp_path,
        "tryton",
        "parties",
        tryton.password,
        base_url=tryton.base_url,
        database=tryton.database,
        username=tryton.username,
    )
    run("live")
    tryton.erp.delete("party.party", [gone])
    tryton.erp.edit("party.party", [kept], {"active": False})
    run("live")
    assert tombstones(services) == {}
    ended = run("sweep")
    assert (ended["state"], ended["error"]) == ("succeeded", None)
    assert tombstones(services) == {str(gone): "not_found"}
    assert str(kept) in living(services), "an archived record is there"
    everybody = tryton.erp.ids("party.party", [["active", "in", [True, False]]])
    assert living(services) == {str(key) for key in everybody}


def test_the_log_of_tryton_names_no_record_that_is_gone(tryton: TrytonServer) -> None:
    """Or it would be read as a list of tombstones."""
    (gone,) = tryton.erp.create("party.party", [{"name": "Goes"}])
    tryton.erp.delete("party.party", [gone])
    rows = tryton.erp.rows("ir.model.log", [["event", "=", "delete"]], ["resource"])
    assert rows
    assert {row["resource"] for row in rows} == {None}


def test_a_part_that_is_deleted_in_an_odata_service(
    services: Services, cap: CapService, tmp_path: Path
) -> None:
    cap.create("Parts", [{"ID": "P-GOES", "name": "Goes", "onHand": 1, "price": "1.00"}])
    run = connected(
        services, tmp_path, "cap", "parts", cap.password, base_url=cap.base_url, username=cap.username
    )
    run("live")
    assert "P-GOES" in living(services)
    cap.delete("Parts", "P-GOES")
    for _ in range(2):
        ended = run("sweep")
        assert (ended["state"], ended["error"]) == ("succeeded", None)
    assert tombstones(services).keys() == {"P-GOES"}
    raw = services.database.one("SELECT raw::text AS raw FROM records WHERE key = 'P-GOES'")
    assert raw is not None
    assert json.loads(raw["raw"])["name"] == "Goes"
    assert living(services) == {row["ID"] for row in cap.rows("Parts")}
