"""How connections go, pause, are found and written out again, beside workers that load."""

import json
import threading
from typing import Any

import psycopg
import pytest
from servers.rows.connection_rows import (
    REGISTRY,
    add_records,
    applied,
    applied_text,
    count,
    kinds,
    plant,
    queue_run,
    streams,
    wait_for_lock,
)

from scheduler.beat.upkeep.retention import finish_removals
from scheduler.connections.apply import apply
from scheduler.connections.file.export import export_document
from scheduler.connections.pause import pause, resume
from scheduler.connections.remove import remove_connection
from scheduler.connections.resolve import find_connection, find_stream
from worker.db.database import Database
from worker.errors import InvalidInput, NotFound
from worker.parsing.documents import read_document

pytestmark = pytest.mark.integration


class TestAbsent:
    def test_an_absent_connection_is_left_alone(self, database: Database) -> None:
        applied(database, plant("north"), plant("south"))
        plan = applied(database, plant("north"))
        assert kinds(plan) == [("left alone", None)]
        assert count(database, "connections") == 2

    def test_prune_counts_first_and_then_leaves_no_trace(self, database: Database) -> None:
        applied(database, plant("north"))
        add_records(database, "parts", 40)
        queue_run(database, "parts")
        applied(database, plant("north", streams={"sites": {"enabled": False}}))
        applied(database, plant("south"), plant("north"))
        dry = applied(database, plant("south"), prune=True, dry_run=True)
        assert [change.records for change in dry.deletes] == [40]
        assert count(database, "records") == 40
        plan = applied(database, plant("south"), prune=True)
        assert plan.deletes == dry.deletes
        assert (count(database, "connections"), count(database, "records")) == (1, 40), "the records follow"
        finish_removals(database)
        for table, rows in {
            "connections": 1,
            "records": 0,
            "runs": 0,
            "cursors": 0,
            "removed_streams": 0,
        }.items():
            assert count(database, table) == rows

    def test_nothing_is_deleted_that_was_not_confirmed(self, database: Database) -> None:
        applied(database, plant("north"))
        text = json.dumps({"version": 1, "connections": []})
        document = read_document(text.encode(), "connections.yaml")
        shown = apply(database, REGISTRY, document, prune=True, dry_run=True)
        applied(database, plant("south"))
        with pytest.raises(InvalidInput, match="Plant south"):
            apply(database, REGISTRY, document, prune=True, confirmed=shown)
        assert count(database, "connections") == 2

    def test_prune_leaves_what_no_file_made(self, database: Database) -> None:
        database.run("INSERT INTO connections (name, system) VALUES ('by hand', 'demo')")
        plan = applied(database, plant("north"), prune=True)
        assert kinds(plan) == [("created", None)]
        assert count(database, "connections") == 2

    def test_a_worker_that_loads_while_its_connection_goes_is_refused(
        self, database: Database, database_url: str
    ) -> None:
        """The page is written and comes to its fence: nothing of it may be left behind the deletion, which waits for nobody."""
        applied(database, plant("north"))
        add_records(database, "parts", 5)
        run = queue_run(database, "parts", running=True)
        with psycopg.connect(database_url) as worker:
            worker.execute("UPDATE records SET change_kind = 'updated'")
            worker.execute(
                "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, cause_kind,"
                " cause_id, change_kind) SELECT bucket, id, 'late', '{}', gen_random_uuid(), now(), now(), 'run',"
                " gen_random_uuid(), 'created' FROM streams WHERE name = 'parts'"
            )
            remove_connection(database, "plant-north")
            assert worker.execute("UPDATE runs SET pages = 1 WHERE id = %s", [run]).rowcount == 0
            worker.rollback()
        assert count(database, "connections") == 0
        finish_removals(database)
        assert count(database, "records") == 0

    def test_a_page_that_was_committed_first_goes_too(self, database: Database, database_url: str) -> None:
        applied(database, plant("north"))
        run = queue_run(database, "parts", running=True)
        with psycopg.connect(database_url) as worker:
            worker.execute("UPDATE runs SET pages = 1 WHERE id = %s", [run])
            remover = threading.Thread(target=remove_connection, args=(database, "plant-north"))
            remover.start()
            wait_for_lock(database)
            worker.execute(
                "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, cause_kind,"
                " cause_id, change_kind) SELECT bucket, id, 'late', '{}', gen_random_uuid(), now(), now(), 'run',"
                " gen_random_uuid(), 'created' FROM streams WHERE name = 'parts'"
            )
            worker.commit()
            remover.join(timeout=30)
        assert count(database, "connections") == 0
        finish_removals(database)
        assert count(database, "records") == 0


class TestPausing:
    def test_a_pause_takes_the_times_away_and_says_what_still_runs(self, database: Database) -> None:
        applied(database, plant())
        queue_run(database, "parts", running=True)
        paused = pause(database, "Plant north")
        assert (paused.changed, paused.running) == (True, 1)
        assert all(row["next_run_at"] is None for row in streams(database).values())
        assert not pause(database, "plant-north").changed

    def test_a_paused_connection_stays_paused_through_an_apply(self, database: Database) -> None:
        applied(database, plant(streams={"parts": {"enabled": False}}))
        pause(database, "Plant north")
        applied(database, plant(schedule={"every": "5m"}, history="all"))
        assert all(row["next_run_at"] is None for row in streams(database).values())
        assert find_connection(database, "Plant north")["paused_at"] is not None

    def test_resuming_owes_one_run_and_names_those_that_waited(self, database: Database) -> None:
        applied(database, plant(streams={"parts": {"enabled": False}}))
        pause(database, "Plant north")
        run = queue_run(database, "sites")
        resumed = resume(database, "Plant north")
        assert resumed.changed
        assert resumed.wakeups == ((run, "sync.demo"),)
        rows = streams(database)
        assert rows["sites"]["due"]
        assert rows["parts"]["next_run_at"] is None
        again = resume(database, "Plant north")
        assert (again.changed, again.wakeups) == (False, ())


class TestFinding:
    def test_a_connection_is_found_by_name_id_and_number(self, database: Database) -> None:
        applied(database, plant())
        row = find_connection(database, "Plant north")
        assert find_connection(database, "plant-north") == find_connection(database, str(row["id"])) == row

    @pytest.mark.parametrize("given", ["Plant nort", "plant\0", "9" * 40, "²", ""])
    def test_an_unknown_one_is_told_with_the_nearest_name(self, database: Database, given: str) -> None:
        applied(database, plant())
        with pytest.raises(NotFound, match="Plant north") as caught:
            find_connection(database, given)
        assert caught.value.code == "unknown_connection"

    def test_an_unknown_stream_is_told_with_the_nearest_name(self, database: Database) -> None:
        applied(database, plant())
        connection = find_connection(database, "Plant north")
        assert find_stream(database, connection, "parts")["name"] == "parts"
        with pytest.raises(NotFound, match="'work_orders'"):
            find_stream(database, connection, "work_order")


class TestExport:
    def test_an_exported_file_applies_to_no_change(self, database: Database) -> None:
        tricky = {
            "a": "1e5",
            "b": "yes",
            "c": "012",
            "d": "x: y # z",
            "e": 'ü "q"',
            "f": "null",
            "g": " ",
            "h": "-",
        }
        applied(
            database,
            plant("north", labels=tricky, streams={"parts": {"enabled": False, "history": "all"}}),
            plant(
                "south",
                environment="test",
                schedule={"every": "1d", "at": "02:00", "timezone": "Europe/Berlin"},
            ),
        )
        text = export_document(database, REGISTRY)
        plan = applied_text(database, text)
        assert plan.changes == ()
        assert export_document(database, REGISTRY) == text

    def test_an_exported_file_makes_the_same_connections_elsewhere(self, database: Database) -> None:
        applied(database, plant("north", streams={"parts": {"schedule": {"every": "1h"}}}), plant("south"))
        text = export_document(database, REGISTRY)
        before = streams_content(database)
        remove_connection(database, "plant-north")
        remove_connection(database, "plant-south")
        assert count(database, "connections") == 0
        applied_text(database, text)
        assert streams_content(database) == before

    def test_what_no_file_made_and_what_drifted_is_exported_as_it_is(self, database: Database) -> None:
        applied(database, plant("north"))
        database.run("UPDATE connections SET tenant = 'byhand'")
        database.run(
            "INSERT INTO connections (name, system, settings, secrets) SELECT '4711', system, settings, secrets"
            " FROM connections"
        )
        database.run("UPDATE connections SET name = 'Werk Süd / 2' WHERE name = '4711'")
        text = export_document(database, REGISTRY)
        assert "byhand" in text
        plan = applied_text(database, text)
        assert {change.kind for change in plan.changes} <= {"created"}  # its missing streams
        assert applied_text(database, export_document(database, REGISTRY)).changes == ()


def streams_content(database: Database) -> list[Any]:
    return database.all(
        "SELECT c.name, s.name AS stream, s.enabled, s.schedule, s.history_days FROM streams s"
        " JOIN connections c ON c.id = s.connection_id ORDER BY 1, 2"
    )
