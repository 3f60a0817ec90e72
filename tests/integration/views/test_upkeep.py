"""Who makes views: the command that applies a file, at once; beat, beside its own work."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from integration.views.viewed import Viewed
from servers.rows.connection_rows import REGISTRY

from scheduler.beat.upkeep.viewing import Viewing
from scheduler.cli.entry import run
from worker.services import Services
from worker.views.stores import keep_store
from worker.views.tending import Tending, make_all

pytestmark = pytest.mark.integration

FILE = """\
version: 1
connections:
  - id: other
    system: demo
    settings: {base_url: "http://127.0.0.1:9"}
    secrets: {token: "env://DEMO_TOKEN"}
    models: {vendor: {fields: {name: vendor_code}}}
"""


def test_the_command_that_applies_a_file_makes_views_at_once(
    viewed: Viewed, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_DATABASE_URL", database_url)
    file = tmp_path / "connections.yaml"
    file.write_text(FILE)
    assert run(["apply", str(file)]) == 0
    assert next(iter(viewed.columns("other__work_orders"))) == "_key"
    viewed.put("vendors", {"1": {"vendor_code": "V1", "name": "Vogel"}}, connection="other")
    assert viewed.values("models.vendor", "name", "remote_id") == {"1": "V1"}
    # Another mapping, over what is there already, without a sync.
    file.write_text(FILE.replace("name: vendor_code", "name: name"))
    assert run(["apply", str(file)]) == 0
    assert viewed.values("models.vendor", "name", "remote_id") == {"1": "Vogel"}


def test_beat_goes_on_while_views_are_made(viewed: Viewed, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    rounds: list[int] = []

    def slow(_: Tending) -> None:
        rounds.append(1)
        begun.set()
        assert go_on.wait(20)

    monkeypatch.setattr(Tending, "round", slow)
    services = cast("Services", cast("Any", SimpleNamespace(database=viewed.database, registry=REGISTRY)))
    viewing = Viewing()
    viewing.tend(services)
    assert begun.wait(20)
    viewing.tend(services)  # at once, and without a second round beside the first
    assert len(rounds) == 1
    go_on.set()


def test_all_streams_are_known_to_their_models_before_anything_is_read_however_many_views_are_left_to_beat(
    viewed: Viewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.views.tending.AT_ONCE", 1)
    assert not make_all(viewed.database, REGISTRY)
    named = {
        row["name"]
        for row in viewed.all("SELECT s.name FROM model_streams JOIN streams s ON s.id = stream_id")
    }
    assert named == {stream.name for stream in viewed.streams() if stream.mappings}
    before = viewed.all("SELECT * FROM model_streams ORDER BY stream_id, model")
    viewed.make_models()
    assert viewed.all("SELECT * FROM model_streams ORDER BY stream_id, model") == before


def test_a_number_that_python_cannot_read_does_not_keep_views_from_being_made(viewed: Viewed) -> None:
    viewed.put(
        "work_orders", {"1": '{"title": "a", "n": ' + "9" * 5000 + "}", "2": '{"title": "b", "n": 1e999}'}
    )
    viewed.make("work_orders")
    assert viewed.values("data.plant_north__work_orders", "title") == {"1": "a", "2": "b"}


def test_fields_that_are_called_like_what_each_table_has_can_be_kept_parsed(viewed: Viewed) -> None:
    viewed.database.run('UPDATE streams SET options = options || \'{"materialise": "always"}\'')
    viewed.put("work_orders", {"1": {"xmin": 1, "xmax": 2, "ctid": 3, "tableoid": 4, "oid": 5, "_key": 6}})
    viewed.make("work_orders")
    assert keep_store(viewed.database, viewed.stream("work_orders"))
    Tending(viewed.database, REGISTRY).round()
    assert viewed.all("SELECT active FROM view_stores") == [{"active": True}]
    assert viewed.values("data.plant_north__work_orders", "xmin_") == {"1": 1}


def test_records_that_are_too_wide_to_be_kept_parsed_keep_no_other_stream_waiting(viewed: Viewed) -> None:
    viewed.database.run('UPDATE streams SET options = options || \'{"materialise": "always"}\'')
    viewed.put("work_orders", {"1": {f"field_{n}": f"a text of some length {n}" for n in range(700)}})
    viewed.put("vendors", {"1": {"name": "Vogel"}})
    viewed.make("work_orders", "vendors")
    for name in ("work_orders", "vendors"):
        assert keep_store(viewed.database, viewed.stream(name))
    tending = Tending(viewed.database, REGISTRY)
    for _ in range(2):
        tending.round()
    active = {row["stream_id"] for row in viewed.all("SELECT stream_id FROM view_stores WHERE active")}
    assert active == {viewed.stream("vendors").id}
    assert viewed.values("data.plant_north__work_orders", "field_699") == {"1": "a text of some length 699"}


def test_a_mapping_that_cannot_be_had_is_told_and_that_of_the_manifest_holds(viewed: Viewed) -> None:
    viewed.connect(models={"vendor": {"stream": "no_such_stream", "fields": {}}})
    viewed.put("vendors", {"1": {"name": "Vogel"}})
    viewed.make("vendors")
    viewed.make_models()
    assert viewed.values("models.vendor", "name", "remote_id") == {"1": "Vogel"}
    (row,) = viewed.all("SELECT problem FROM stream_views WHERE name = 'plant_north__vendors'")
    assert "no_such_stream" in row["problem"]
