"""A connection that describes its own system is applied, run and viewed as one whose manifest was written beforehand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import ANY

import pytest
from servers.installation.commands import Command
from servers.rows.connection_rows import applied_text, kinds
from servers.systems.bench import Bench
from servers.systems.inline import InlineRuns

from scheduler.access.audit import COMMAND_LINE
from scheduler.connections.editing.edit import Editor, change_connection
from scheduler.connections.file import Problems
from scheduler.connections.plan import Change
from worker.connectors.registry import Registry
from worker.errors import InvalidInput
from worker.services import Services
from worker.views.tending import make_all

pytestmark = pytest.mark.integration

FILE = """\
version: 1
connections:
  - id: shop
    system: rest
    settings:
      base_url: {base_url}/api/v1
      describe:
        auth: {{bearer: {{secret: token}}}}
        secrets: {{token: {{}}}}
        limits: {{requests: 6000, per: 1m}}
        defaults:
          records: data
          key: id
          paging: {{cursor: {{param: cursor, path: next_cursor, size_param: limit, size: 100}}}}
        streams:
          sites: {{path: /sites}}
          parts:
            path: /parts
            columns: {{unit_cost: number}}
            incremental: {{field: updated_at, param: updated_since, ordered: true}}
        models:
          part: {{stream: parts, fields: {{name: name}}}}
    secrets: {{token: "{token}"}}
  - id: plant
    system: demo
    settings: {{base_url: "{base_url}"}}
    secrets: {{token: "{token}"}}
"""


@dataclass
class Shop(InlineRuns):
    """Runs of the connection that describes itself."""

    system: ClassVar = "rest"

    services: Services
    connection: int = 0


def text(bench: Bench) -> str:
    return FILE.format(base_url=bench.demo.base_url, token=f"file://{bench.demo.token_file}")


def places(refused: Problems) -> list[tuple[str, str | None]]:
    return [(each.code, each.place) for each in refused.problems]


def test_what_it_describes_is_synced_and_can_be_queried(
    bench: Bench, headrace: Command, tmp_path: Path
) -> None:
    bench.services.database.run("DELETE FROM connections")
    file = tmp_path / "connections.yaml"
    file.write_text(text(bench))
    done = headrace("apply", str(file))
    assert done.code == 0, done.err
    assert headrace("test", "shop").code == 0
    database, shop = bench.services.database, Shop(bench.services)
    database.run("UPDATE connections SET paused_at = now() WHERE name <> 'shop'")
    for name in ("sites", "parts"):
        found = database.one(
            "SELECT s.id FROM streams s JOIN connections c ON c.id = s.connection_id"
            " WHERE c.name = 'shop' AND s.name = %(name)s",
            {"name": name},
        )
        assert found is not None
        shop.request(found["id"], "history" if name == "parts" else "live")
    shop.carry_out_ready()
    make_all(database, Registry.load())
    counted = {
        name: database.one(f"SELECT count(*) AS n FROM data.shop__{name}") for name in ("sites", "parts")
    }
    assert all(row is not None and row["n"] > 0 for row in counted.values()), counted
    cost = database.one("SELECT pg_typeof(unit_cost)::text AS kind FROM data.shop__parts LIMIT 1")
    assert cost == {"kind": "numeric"}
    assert headrace("apply", str(file), "--dry-run").out.strip() == "Nothing to change."
    exported = tmp_path / "exported.yaml"
    exported.write_text(headrace("export-config").out)
    assert headrace("apply", str(exported), "--dry-run").out.strip() == "Nothing to change."


def test_a_mistake_in_it_names_its_line_and_the_nearest_key_and_the_others_are_looked_at(
    bench: Bench,
) -> None:
    wrong = text(bench).replace("param: updated_since", "parm: updated_since").replace("demo\n", "dem\n")
    with pytest.raises(Problems) as refused:
        applied_text(bench.services.database, wrong)
    assert places(refused.value) == [
        ("unknown_key", "connections.yaml:20"),
        ("unknown_system", "connections.yaml:25"),
    ]
    assert refused.value.problems[0].hint == "Did you mean 'param'?"


def test_a_secret_in_it_is_refused_and_the_name_of_one_is_not(bench: Bench) -> None:
    planted = "defaults:\n          params: {api_key: planted-secret}"
    with pytest.raises(Problems) as refused:
        applied_text(bench.services.database, text(bench).replace("defaults:", planted, 1))
    assert places(refused.value) == [("secret_in_settings", "connections.yaml:12")]
    assert "planted-secret" not in str(refused.value)


def test_streams_come_and_go_with_what_it_describes(bench: Bench) -> None:
    database = bench.services.database
    applied_text(database, text(bench))
    more = text(bench).replace("sites: {path: /sites}", "vendors: {path: /vendors}")
    plan = applied_text(database, more)
    assert ("created", "vendors") in kinds(plan)
    assert ("switched off", "sites") in kinds(plan)
    assert applied_text(database, more).changes == ()
    rows = database.all(
        "SELECT s.name FROM streams s JOIN connections c ON c.id = s.connection_id WHERE c.name = 'shop' AND s.enabled"
    )
    assert {row["name"] for row in rows} == {"parts", "vendors"}


def test_through_the_api_its_mistakes_are_told_by_their_fields(bench: Bench) -> None:
    applied_text(bench.services.database, text(bench))
    describe = described_by(bench)
    describe["streams"]["parts"]["pth"] = "/parts"
    with pytest.raises(InvalidInput) as refused:
        changed(bench, {"settings": {"describe": describe}})
    assert refused.value.place == "body.settings.describe.streams.parts.pth"


class TestAnotherDescription:
    """A stream that is described otherwise is treated as one whose manifest has another version."""

    @pytest.fixture
    def read(self, bench: Bench) -> Bench:
        """Both streams were read, and `parts` has a cursor."""
        database = bench.services.database
        applied_text(database, text(bench))
        database.run("UPDATE connections SET paused_at = now() WHERE name <> 'shop'")
        shop = Shop(bench.services)
        for row in database.all(
            "SELECT id FROM streams WHERE connection_id = %(id)s", {"id": shop_id(bench)}
        ):
            shop.request(row["id"])
        shop.carry_out_ready()
        assert cursors(bench) == {"parts"}
        return bench

    def test_another_key_begins_anew_and_the_records_become_deletes(self, read: Bench) -> None:
        database = read.services.database
        before = live_keys(read)
        rekeyed = text(read).replace("path: /parts", "path: /parts\n            key: [id, part_number]")
        told = applied_text(database, rekeyed, dry_run=True)
        assert ("re-fetched", "parts") in kinds(told)
        assert cursors(read) == {"parts"}
        applied_text(database, rekeyed)
        assert cursors(read) == set()
        shop = Shop(read.services)
        row = database.one("SELECT id FROM streams WHERE name = 'parts' AND refit IS NOT NULL")
        assert row is not None
        shop.request(row["id"])
        shop.carry_out_ready()
        after = live_keys(read)
        assert len(after) == len(before)
        assert not after & before

    def test_another_cursor_begins_anew_with_its_records(self, read: Bench) -> None:
        before = live_keys(read)
        plan = applied_text(
            read.services.database, text(read).replace("field: updated_at,", "field: created_at,")
        )
        assert ("re-fetched", "parts") in kinds(plan)
        assert cursors(read) == set()
        assert live_keys(read) == before

    def test_a_dry_run_says_what_reading_it_again_takes(
        self, read: Bench, headrace: Command, tmp_path: Path
    ) -> None:
        held = len(live_keys(read))
        file = tmp_path / "other.yaml"
        file.write_text(text(read).replace("field: updated_at,", "field: created_at,"))
        told = headrace("apply", str(file), "--dry-run", "--json").json["read_again"]
        assert told == {"shop / parts": {"records": held, "requests": ANY, "seconds": ANY}}
        said = headrace("apply", str(file), "--dry-run").out
        assert f"shop / parts: reading again is about {held:,} records in " in said
        assert headrace("apply", str(file)).code == 0
        assert "read_again" not in headrace("apply", str(file), "--dry-run", "--json").json

    def test_what_only_shows_it_otherwise_costs_nothing(self, read: Bench) -> None:
        plan = applied_text(
            read.services.database, text(read).replace("unit_cost: number", "unit_cost: text")
        )
        assert kinds(plan) == [("changed", None)]
        assert cursors(read) == {"parts"}

    def test_the_api_does_the_same(self, read: Bench) -> None:
        describe = described_by(read)
        describe["streams"]["parts"]["key"] = ["id", "part_number"]
        describe["streams"]["bins"] = {"path": "/stock_levels"}
        del describe["streams"]["sites"]
        changes = changed(read, {"settings": {"describe": describe}})
        said = {(change.kind, change.stream) for change in changes}
        assert {("re-fetched", "parts"), ("created", "bins"), ("switched off", "sites")} <= said
        assert cursors(read) == set()

    def test_erased_records_do_not_come_back_under_another_key(self, read: Bench) -> None:
        database = read.services.database
        database.run("UPDATE streams SET erased = true WHERE name = 'parts'")
        rekeyed = text(read).replace("path: /parts", "path: /parts\n            key: [id, part_number]")
        with pytest.raises(InvalidInput) as refused:
            applied_text(database, rekeyed)
        assert (refused.value.code, refused.value.place) == ("erasures_lost", "connections.yaml:3")


def shop_id(bench: Bench) -> int:
    row = bench.services.database.one("SELECT id FROM connections WHERE name = 'shop'")
    assert row is not None
    return int(row["id"])


def described_by(bench: Bench) -> dict[str, Any]:
    row = bench.services.database.one("SELECT settings FROM connections WHERE name = 'shop'")
    assert row is not None
    describe: dict[str, Any] = json.loads(json.dumps(row["settings"]["describe"]))
    return describe


def changed(bench: Bench, patch: dict[str, Any]) -> Sequence[Change]:
    return change_connection(
        bench.services.database, Registry.load(), shop_id(bench), patch, Editor(COMMAND_LINE)
    )


def cursors(bench: Bench) -> set[str]:
    rows = bench.services.database.all(
        "SELECT s.name FROM cursors u JOIN streams s ON s.id = u.stream_id WHERE u.watermark IS NOT NULL"
    )
    return {row["name"] for row in rows}


def live_keys(bench: Bench) -> set[str]:
    rows = bench.services.database.all(
        "SELECT r.key FROM records r JOIN streams s ON s.id = r.stream_id WHERE s.name = 'parts' AND r.deleted_at IS NULL"
    )
    return {row["key"] for row in rows}
