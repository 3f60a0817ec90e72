"""Is the copy in Postgres what a real ERP says of itself?

Runs are carried out by the engine as a worker does, against Tryton, Postgres and Valkey: first history, then
increments, and after each the copy is compared row by row.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from servers.systems.tryton.client import read_json
from servers.systems.tryton.server import TrytonServer

from worker.config import load_settings
from worker.connectors.manifest.model import load_manifest
from worker.connectors.manifest.streams.presets import TRYTON_TIMES
from worker.connectors.registry.places import CATALOG
from worker.engine.perform import carry_out
from worker.runs.request import request_run
from worker.runs.states import Lane
from worker.services import Services

pytestmark = pytest.mark.integration

SYSTEM = "tryton_small_pages"
PAGE = 40
CATALOG_MANIFEST = CATALOG / "tryton" / "manifest.yaml"
STREAMS = load_manifest(CATALOG_MANIFEST).streams
ADDRESS = {"street_unstructured": "Quay 1", "city": "Ghent"}


@dataclass
class Copy:
    """A connection to the ERP, and what Headrace holds of it."""

    services: Services
    tryton: TrytonServer
    streams: dict[str, int]

    def sync(self, *names: str) -> Counter[str]:
        """Request a run of each stream (all of them if none is named), carry out all that follows; sums of its counts."""
        with self.services.database.transaction() as connection:
            for name in names or self.streams:
                request_run(
                    connection,
                    stream_id=self.streams[name],
                    system=SYSTEM,
                    lane=Lane.ON_DEMAND,
                    cause="cli",
                    request_id="r-1",
                )
        before = {row["id"] for row in self.history()}
        while open_runs := self.services.database.all("SELECT id FROM runs WHERE not_before <= now()"):
            for row in open_runs:
                carry_out(self.services, row["id"])
        counts: Counter[str] = Counter()
        for row in self.history():
            if row["id"] not in before:
                counts[row["state"]] += 1
                counts.update({n: row[f"records_{n}"] for n in ("created", "updated", "deleted", "rejected")})
        return counts

    def history(self) -> list[DictRow]:
        return self.services.database.all("SELECT * FROM run_history ORDER BY id")

    def rows(self, name: str) -> dict[str, Mapping[str, Any]]:
        """What the copy holds of the stream's records."""
        return {key: read_json(row["raw"].encode()) for key, row in self._records(name).items()}

    def changed_at(self, name: str) -> dict[str, datetime]:
        return {key: row["source_updated_at"] for key, row in self._records(name).items()}

    def truth(self, name: str) -> dict[str, Mapping[str, Any]]:
        """What the ERP says: every field that was asked for."""
        fields = ["id", *STREAMS[name].fields, *TRYTON_TIMES]
        return {str(row["id"]): row for row in self.tryton.erp.rows(STREAMS[name].model, [], fields)}

    def assert_equals_the_erp(self) -> None:
        for name in self.streams:
            truth = self.truth(name)
            assert self.rows(name) == truth, name
            assert self.changed_at(name) == {
                key: row["write_date"] or row["create_date"] for key, row in truth.items()
            }, name

    def _records(self, name: str) -> dict[str, DictRow]:
        found = self.services.database.all(
            "SELECT key, raw::text AS raw, source_updated_at FROM records WHERE stream_id = %(s)s AND deleted_at IS NULL",
            {"s": self.streams[name]},
        )
        return {row["key"]: row for row in found}


@pytest.fixture
def small_pages(tmp_path: Path) -> Path:
    """The catalog's manifest as a user's own system, with pages so small that every stream has several."""
    text = CATALOG_MANIFEST.read_text()
    for old, new in (("system: tryton", f"system: {SYSTEM}"), ("size: 500", f"size: {PAGE}")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    manifest = tmp_path / "systems" / SYSTEM / "manifest.yaml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(text)
    return manifest.parent.parent


@pytest.fixture
def services(database_url: str, broker_url: str, small_pages: Path, tmp_path: Path) -> Iterator[Services]:
    settings = load_settings(
        home=tmp_path / "home", database_url=database_url, broker_url=broker_url, connectors=(small_pages,)
    )
    opened = Services.open(settings, name="test")
    assert not opened.registry.problems()
    yield opened
    opened.close()


@pytest.fixture
def copy(services: Services, tryton: TrytonServer, tmp_path: Path) -> Copy:
    """A connection with all streams and nothing fetched yet."""
    secret = tmp_path / "password"
    secret.write_text(tryton.password)
    settings = {"base_url": tryton.base_url, "database": tryton.database, "username": tryton.username}
    with services.database.transaction() as connection:
        found = connection.execute(
            "INSERT INTO connections (name, system, settings, secrets) VALUES ('erp', %s, %s, %s) RETURNING id",
            (SYSTEM, Jsonb(settings), Jsonb({"password": secret.as_uri()})),
        ).fetchone()
        assert found is not None
        streams = {}
        for name in STREAMS:
            row = connection.execute(
                "INSERT INTO streams (connection_id, name, bucket, schedule) VALUES (%s, %s, 1, %s) RETURNING id",
                (found["id"], name, Jsonb({"every": 900})),
            ).fetchone()
            assert row is not None
            streams[name] = row["id"]
    return Copy(services, tryton, streams)


def test_history_and_then_nothing_new(copy: Copy) -> None:
    first = copy.sync()
    copy.assert_equals_the_erp()
    assert first["created"] == sum(len(copy.truth(name)) for name in STREAMS)
    assert first["succeeded"] == first.total() - first["created"]
    assert all(len(copy.truth(name)) > PAGE for name in STREAMS)

    second = copy.sync()
    assert second == Counter(succeeded=len(STREAMS), created=0, updated=0, deleted=0, rejected=0)
    copy.assert_equals_the_erp()


def test_an_increment_brings_what_was_made_and_changed_and_nothing_else(copy: Copy) -> None:
    erp = copy.tryton.erp
    purchase = copy.tryton.order("PO-INCREMENT", lines=3)
    copy.sync()
    before = {name: copy.truth(name) for name in STREAMS}

    (party,) = erp.create("party.party", [{"name": "Newcomer", "addresses": [("create", [ADDRESS])]}])
    template = erp.ids("product.template")[3]
    erp.edit("product.template", [template], {"name": "Renamed bearing"})
    shelf = erp.ids("stock.location", [["code", "=", "S07"]])[0]
    erp.edit("stock.location", [shelf], {"active": False})
    line = erp.ids("purchase.line", [["purchase", "=", purchase]])[1]
    erp.edit("purchase.line", [line], {"description": "Another seal"})
    erp.press("purchase.purchase", "quote", [purchase])
    counts = copy.sync()

    copy.assert_equals_the_erp()
    assert counts["created"] == 2
    assert counts["updated"] == sum(
        row != before[name][key]
        for name in STREAMS
        for key, row in copy.rows(name).items()
        if key in before[name]
    )
    assert copy.rows("parties")[str(party)]["name"] == "Newcomer"
    assert copy.rows("purchases")[str(purchase)]["state"] == "quotation"
    assert copy.rows("purchase_lines")[str(line)]["description"] == "Another seal"
    assert not copy.rows("locations")[str(shelf)]["active"]
    erp.edit("stock.location", [shelf], {"active": True})


def test_more_new_records_of_one_microsecond_than_a_page_holds_all_arrive(copy: Copy) -> None:
    """Addresses have no write_date until somebody edits them: only their create_date says that they are new."""
    copy.sync("addresses")
    twins = [{"name": f"Twin {n}", "addresses": [("create", [ADDRESS])]} for n in range(2 * PAGE + 5)]
    parties = copy.tryton.erp.create("party.party", twins)

    counts = copy.sync("addresses")

    new = copy.tryton.erp.rows("party.address", [["party", "in", parties]], TRYTON_TIMES)
    assert len({row["create_date"] for row in new}) == 1
    assert {row["write_date"] for row in new} == {None}
    assert counts["created"] == len(new) == len(twins)
    assert copy.rows("addresses") == copy.truth("addresses")


def test_what_changes_between_two_runs_of_a_stream_is_in_the_later_one(copy: Copy) -> None:
    """A purchase goes through its states, with a run after each: none is missed, and each is one update."""
    purchase = copy.tryton.order("PO-STATES")
    copy.sync("purchases")
    seen = []
    for button in ("quote", "draft", "quote", "confirm"):
        copy.tryton.erp.press("purchase.purchase", button, [purchase])
        assert copy.sync("purchases")["updated"] == 1
        seen.append(copy.rows("purchases")[str(purchase)]["state"])
    assert seen == ["quotation", "draft", "quotation", "confirmed"]


def test_a_wrong_password_fails_the_run_and_is_found_nowhere(
    copy: Copy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("not-the-password")

    counts = copy.sync("parties")

    assert counts["failed"] > 0
    assert {(row["state"], row["error_code"]) for row in copy.history()} == {("failed", "auth_refused")}
    assert copy.rows("parties") == {}
    said = json.dumps(copy.history(), default=str) + "".join(capfd.readouterr())
    assert "not-the-password" not in said
