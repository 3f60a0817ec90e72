"""A connection is logged in again while somebody else changes it: only what the customer gave is changed with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from psycopg.types.json import Jsonb
from servers.systems.consenting import write_manifest

from scheduler.access.audit import COMMAND_LINE
from scheduler.connections.consent import finish as finishing
from scheduler.connections.consent.finish import Rooms, candidate_of, finish
from scheduler.connections.trial.report import Finding, Report
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.http.sender import Sender

pytestmark = pytest.mark.integration

BEFORE = {
    "client_id": "env://ACME_ID",
    "client_secret": "env://ACME_OLD",
    "refresh_token": "env://ACME_SPENT",
}
ROTATED, GIVEN = "env://ACME_ROTATED", "env://ACME_GIVEN"


@pytest.fixture
def link(database: Database) -> Mapping[str, Any]:
    """With which a connection that is there is logged in again."""
    row = database.one(
        "INSERT INTO connections (name, system, settings, secrets) VALUES ('acme', 'consenting', '{\"port\": \"9\"}', %(s)s)"
        " RETURNING id",
        {"s": Jsonb(BEFORE)},
    )
    assert row is not None
    made = database.one(
        "INSERT INTO connect_links (digest, environment, system, connection_id, name, settings, store, expires_at)"
        " VALUES ('\\x00', 'live', 'consenting', %(c)s, 'acme', '{\"port\": \"9\"}', 'file:///x/', now() + interval '1h')"
        " RETURNING *",
        {"c": row["id"]},
    )
    assert made is not None
    return made


def test_a_secret_that_was_rotated_while_it_was_tried_stays_rotated(
    database: Database, link: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tried(*_: object, **__: object) -> Report:
        database.run(
            "UPDATE connections SET secrets = secrets || jsonb_build_object('client_secret', %(s)s::text)",
            {"s": ROTATED},
        )
        return Report([Finding("items", "ok", "It answers.", stream="items")])

    monkeypatch.setattr(finishing, "try_connection", tried)
    rooms = Rooms(database, Registry.load((write_manifest(tmp_path),)), cast("Sender", None))
    given = {"refresh_token": GIVEN}
    candidate = candidate_of(database, link, {}, given)
    assert candidate.secrets == BEFORE | given

    assert finish(rooms, link, candidate, given, COMMAND_LINE).connection == link["connection_id"]
    kept = database.one("SELECT secrets FROM connections")
    assert kept is not None
    assert kept["secrets"] == BEFORE | given | {"client_secret": ROTATED}
