"""Parents before children, where the manifest says so: for a while, and never for ever."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from servers.postgres import PostgresServer
from servers.valkey import empty

from scheduler.embedded.valkey import EmbeddedValkey
from worker.engine.admission.parents import LONGEST, PATIENCE, SHORTEST, wait_for
from worker.runs.states import Lane

from .conftest import SYSTEMS  # type: ignore[import-not-found]
from .mirror import Mirror, opened_mirror  # type: ignore[import-not-found]
from .source import Source  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def mirror(postgres_server: PostgresServer, valkey_server: EmbeddedValkey) -> Iterator[Mirror]:
    empty(valkey_server.url)
    with (
        postgres_server.fresh_database() as url,
        opened_mirror(url, valkey_server.url, SYSTEMS, "family") as opened,
    ):
        yield opened


@pytest.fixture
def family(mirror: Mirror, source: Source, token_file: Path) -> Mirror:
    source.begin(seed=1, factor=0.01, epoch=round(datetime.now(UTC).timestamp() * 1000))
    mirror.connect({"token": token_file.as_uri()}, base_url=source.base_url)
    mirror.services.database.run(
        "UPDATE streams SET next_run_at = now() + interval '1 hour' WHERE id = ANY (%(ids)s)",
        {"ids": list(mirror.streams.values())},
    )
    return mirror


def scheduled(family: Mirror, name: str) -> UUID:
    run = family.request(name, lane=Lane.SCHEDULED)
    family.carry_out(run)
    return run


def waiting(family: Mirror, run: UUID) -> dict[str, Any] | None:
    row = family.services.database.one("SELECT * FROM runs WHERE id = %(run)s", {"run": run})
    return None if row is None else dict(row)


def stream(family: Mirror, name: str, assignments: str) -> None:
    family.services.database.run(
        f"UPDATE streams SET {assignments} WHERE id = %(id)s", {"id": family.streams[name]}
    )


def test_a_child_waits_until_its_parents_have_been_synced_for_the_first_time(
    family: Mirror, source: Source
) -> None:
    child = scheduled(family, "assets")
    row = waiting(family, child)
    assert row is not None
    assert (row["wait_reason"], row["error_code"], row["attempt"]) == ("parent", "parent_first", 0)
    assert "sites" in row["error"]
    assert source.asked == []
    scheduled(family, "sites")
    family.finish()
    assert family.copy("assets") == source.truth("assets")


def test_a_child_waits_for_a_parents_run_that_is_owed_in_the_same_round(family: Mirror) -> None:
    for name in ("sites", "assets"):
        family.do(name)
    family.finish()
    stream(family, "sites", "next_run_at = now() - interval '1 s'")
    child = scheduled(family, "assets")
    assert waiting(family, child) is not None
    stream(family, "sites", "next_run_at = now() + interval '1 hour'")
    parent = family.request("sites", lane=Lane.SCHEDULED)
    family.open_runs()
    family.carry_out(child)
    assert waiting(family, child) is not None, "the parent's run is open"
    family.carry_out(parent)
    family.open_runs()
    family.carry_out(child)
    assert waiting(family, child) is None


def test_a_parent_that_fails_does_not_hold_up_its_children(family: Mirror) -> None:
    stream(family, "sites", "failures = 1")
    assert waiting(family, scheduled(family, "assets")) is None


def test_a_parent_that_is_switched_off_does_not_hold_up_its_children(family: Mirror) -> None:
    stream(family, "sites", "enabled = false, next_run_at = NULL")
    assert waiting(family, scheduled(family, "assets")) is None


def test_a_parent_that_tries_again_does_not_hold_up_its_children(family: Mirror) -> None:
    for name in ("sites", "assets"):
        family.do(name)
    family.finish()
    parent = family.request("sites", lane=Lane.SCHEDULED)
    family.services.database.run("UPDATE runs SET attempt = 1 WHERE id = %(id)s", {"id": parent})
    assert waiting(family, scheduled(family, "assets")) is None


def test_only_the_live_run_of_a_parent_comes_first(family: Mirror) -> None:
    for name in ("sites", "assets"):
        family.do(name)
    family.finish()
    family.request("sites", track="sweep", lane=Lane.BACKFILL)
    assert waiting(family, scheduled(family, "assets")) is None


def test_a_stream_of_another_connection_is_no_parent(family: Mirror) -> None:
    for name in ("sites", "assets"):
        family.do(name)
    family.finish()
    family.services.database.run(
        "WITH other AS (INSERT INTO connections (name, system) VALUES ('other', 'family') RETURNING id)"
        " INSERT INTO streams (connection_id, name, bucket, schedule, next_run_at)"
        " SELECT id, 'sites', 5, '{\"every\": 900}', now() FROM other"
    )
    assert waiting(family, scheduled(family, "assets")) is None


def test_a_run_that_has_read_some_pages_is_not_held_up(family: Mirror, source: Source) -> None:
    for name in ("sites", "assets"):
        family.do(name)
    family.finish()
    family.services.database.run(
        'UPDATE cursors SET position = \'{"page": {"cursor": "lost"}}\' WHERE stream_id = %(id)s AND track = \'live\'',
        {"id": family.streams["assets"]},
    )
    stream(family, "sites", "next_run_at = now() - interval '1 s'")
    source.asked.clear()
    scheduled(family, "assets")
    assert source.asked


def test_patience_has_an_end(family: Mirror) -> None:
    child = scheduled(family, "assets")
    family.services.database.run(
        "UPDATE runs SET created_at = now() - make_interval(secs => %(s)s), not_before = now() WHERE id = %(id)s",
        {"s": PATIENCE + 1, "id": child},
    )
    family.carry_out(child)
    assert waiting(family, child) is None


def test_what_a_person_asks_for_is_not_held_up(family: Mirror) -> None:
    run = family.request("assets", lane=Lane.ON_DEMAND)
    family.carry_out(run)
    assert waiting(family, run) is None


def test_asking_by_hand_ends_the_wait_for_a_parent(family: Mirror) -> None:
    child = scheduled(family, "assets")
    assert family.request("assets", lane=Lane.ON_DEMAND) == child
    family.carry_out(child)
    assert waiting(family, child) is None


def test_the_wait_grows_with_the_time_that_was_waited() -> None:
    assert [wait_for(age) for age in (0, 20, 1000)] == [SHORTEST, 5.0, LONGEST]
