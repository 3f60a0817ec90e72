"""The connections file against a real Postgres: all of it or nothing, twice is once, and workers are held off."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from scheduler.beat.due import next_due
from scheduler.connections.apply import apply
from scheduler.connections.current import queries
from scheduler.connections.export import export_document
from scheduler.connections.file import Problems
from scheduler.connections.pause import pause, resume
from scheduler.connections.plan import Plan
from scheduler.connections.remove import remove_connection
from scheduler.connections.resolve import find_connection, find_stream
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.migrate import migrate
from worker.documents import read_document
from worker.errors import InvalidInput, NotFound, Transient

pytestmark = pytest.mark.integration

REGISTRY = Registry.load()
STREAMS = len(REGISTRY.get("demo").stream_names)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, name="tests", pool=4)
    migrate(database)
    yield database
    database.close()


def plant(which: str = "north", /, **fields: Any) -> dict[str, Any]:
    """A connection of the file, complete but for what a test is about."""
    return {
        "id": f"plant-{which}",
        "name": f"Plant {which}",
        "system": "demo",
        "settings": {"base_url": "http://127.0.0.1:9"},
        "secrets": {"token": "env://DEMO_TOKEN"},
        "history": "90d",
        **fields,
    }


def applied(database: Database, *connections: dict[str, Any], **flags: bool) -> Plan:
    return applied_text(database, json.dumps({"version": 1, "connections": connections}, indent=1), **flags)


def applied_text(database: Database, text: str, **flags: bool) -> Plan:
    return apply(database, REGISTRY, read_document(text.encode(), "connections.yaml"), **flags)


def kinds(plan: Plan) -> list[tuple[str, str | None]]:
    return [(change.kind, change.stream) for change in plan.changes]


def streams(database: Database) -> dict[str, Any]:
    rows = database.all("SELECT *, next_run_at <= now() AS due FROM streams ORDER BY id")
    return {row["name"]: row for row in rows}


def queue_run(database: Database, stream: str, *, track: str = "live", running: bool = False) -> Any:
    row = database.one(
        "INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id, state, lease_until,"
        " claim_no) SELECT id, connection_id, 'sync.demo', 'a', %(track)s, 3, 'schedule', 'r', %(state)s, "
        "CASE WHEN %(running)s THEN now() + interval '1 minute' END, 1 FROM streams WHERE name = %(stream)s RETURNING id",
        {"stream": stream, "track": track, "running": running, "state": "running" if running else "queued"},
    )
    assert row is not None
    return row["id"]


def add_records(database: Database, stream: str, count: int, prefix: str = "k") -> None:
    database.run(
        "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, cause_kind,"
        " cause_id, change_kind) SELECT s.bucket, s.id, %(prefix)s || n, '{}', gen_random_uuid(), now(), now(), 'run',"
        " gen_random_uuid(), 'created' FROM streams s, generate_series(1, %(count)s) n WHERE s.name = %(stream)s",
        {"stream": stream, "count": count, "prefix": prefix},
    )


def count(database: Database, table: str) -> int:
    row = database.one(f"SELECT count(*) AS n FROM {table}")
    assert row is not None
    return int(row["n"])


class TestApplying:
    def test_a_new_connection_gets_all_streams_of_its_system_and_is_due_at_once(
        self, database: Database
    ) -> None:
        plan = applied(database, plant(labels={"region": "eu"}, budget="acme", tenant="acme"))
        assert plan.applied
        assert kinds(plan) == [("created", None)]
        row = find_connection(database, "Plant north")
        assert (row["file_id"], row["labels"], row["budget"]) == ("plant-north", {"region": "eu"}, "acme")
        assert row["secrets"] == {"token": "env://DEMO_TOKEN"}
        rows = streams(database).values()
        assert len(rows) == STREAMS
        assert all(
            row["due"] and row["history_days"] == 90 and row["bucket"] == row["id"] % 32 for row in rows
        )

    def test_the_manifests_interval_is_used_where_the_file_says_nothing(self, database: Database) -> None:
        applied(database, plant())
        source = REGISTRY.get("demo").bind({"base_url": "http://127.0.0.1:9"})
        for name, row in streams(database).items():
            assert row["schedule"] == {"every": source.stream(name).traits.interval}

    def test_a_second_apply_changes_nothing_and_says_so(self, database: Database) -> None:
        file = plant(labels={"a": "b"}, streams={"parts": {"enabled": False}, "sites": {"history": "all"}})
        applied(database, file)
        before = database.all("SELECT * FROM connections"), streams(database)
        plan = applied(database, file)
        assert plan.changes == ()
        assert not plan.changes_something
        assert [row["updated_at"] for row in before[0]] == [
            row["updated_at"] for row in database.all("SELECT * FROM connections")
        ]
        assert {n: r["next_run_at"] for n, r in before[1].items()} == {
            n: r["next_run_at"] for n, r in streams(database).items()
        }

    def test_a_dry_run_says_the_same_and_does_nothing(self, database: Database) -> None:
        dry = applied(database, plant(), dry_run=True)
        assert not dry.applied
        assert count(database, "connections") == 0
        assert applied(database, plant()).changes == dry.changes

    def test_a_wrong_file_changes_nothing_at_all(self, database: Database) -> None:
        with pytest.raises(Problems):
            applied(database, plant("north"), plant("south", settings={}))
        assert count(database, "connections") == 0

    def test_a_name_changes_without_touching_the_streams(self, database: Database) -> None:
        applied(database, plant())
        before = streams(database)
        plan = applied(database, plant(name="Northern Plant"))
        assert [field.field for change in plan.changes for field in change.fields] == ["name"]
        assert find_connection(database, "Northern Plant")["file_id"] == "plant-north"
        assert {row["id"] for row in before.values()} == {row["id"] for row in streams(database).values()}
        assert {row["next_run_at"] for row in before.values()} == {
            row["next_run_at"] for row in streams(database).values()
        }

    def test_two_connections_exchange_their_names(self, database: Database) -> None:
        north, south = plant("north"), plant("south")
        applied(database, north, south)
        applied(database, {**north, "name": south["name"]}, {**south, "name": north["name"]})
        assert find_connection(database, north["name"])["file_id"] == "plant-south"

    def test_another_connections_name_is_refused(self, database: Database) -> None:
        applied(database, plant("north"))
        with pytest.raises(Problems) as caught:
            applied(database, plant("south", name="Plant north"))
        assert caught.value.problems[0].code == "name_taken"
        assert caught.value.problems[0].place == "connections.yaml:4"

    def test_a_system_can_not_be_exchanged(self, database: Database) -> None:
        applied(database, plant())
        tryton = plant(
            system="tryton",
            settings={"base_url": "http://127.0.0.1:9", "database": "erp", "username": "sync"},
            secrets=dict.fromkeys(REGISTRY.get("tryton").secret_names, "env://X"),
        )
        with pytest.raises(Problems, match="demo"):
            applied(database, tryton)

    def test_the_same_id_in_the_other_environment_is_another_connection(self, database: Database) -> None:
        applied(database, plant())
        plan = applied(database, plant(), plant(environment="test"))
        assert kinds(plan) == [("created", None)]
        with pytest.raises(InvalidInput, match="--environment") as caught:
            find_connection(database, "Plant north")
        assert caught.value.code == "ambiguous_connection"
        assert find_connection(database, "Plant north", "test")["environment"] == "test"


class TestSchedules:
    def test_a_new_schedule_counts_from_now(self, database: Database) -> None:
        applied(database, plant())
        database.run("UPDATE streams SET next_run_at = now() + interval '6 days'")
        applied(database, plant(schedule={"every": "15m"}))
        for row in streams(database).values():
            at = database.one("SELECT now() AS now")
            assert at is not None
            assert row["next_run_at"] == next_due({"every": 900}, at["now"], stream_id=row["id"])

    def test_a_run_that_is_owed_stays_owed(self, database: Database) -> None:
        applied(database, plant())
        applied(database, plant(schedule={"every": "7d"}))
        assert all(row["due"] for row in streams(database).values())

    def test_a_stream_is_switched_off_with_its_open_runs_and_on_again(self, database: Database) -> None:
        applied(database, plant())
        queue_run(database, "parts")
        queue_run(database, "sites")
        plan = applied(database, plant(streams={"parts": {"enabled": False}}))
        assert kinds(plan) == [("switched off", "parts")]
        assert streams(database)["parts"]["next_run_at"] is None
        assert [row["state"] for row in database.all("SELECT state FROM run_history")] == ["cancelled"]
        assert count(database, "runs") == 1
        plan = applied(database, plant())
        assert kinds(plan) == [("switched on", "parts")]
        assert streams(database)["parts"]["due"]

    def test_a_longer_history_is_read_again(self, database: Database) -> None:
        applied(database, plant())
        database.run("UPDATE streams SET history_done_at = now(), next_run_at = now() + interval '1 hour'")
        database.run(
            "INSERT INTO cursors (stream_id, track) SELECT id, t FROM streams, unnest('{live,history}'::text[]) t"
        )
        queue_run(database, "parts", track="history", running=True)
        queue_run(database, "parts", track="live", running=True)
        plan = applied(database, plant(streams={"parts": {"history": "all"}}))
        assert kinds(plan) == [("re-fetched", "parts")]
        parts = streams(database)["parts"]
        assert (parts["history_days"], parts["history_done_at"], parts["due"]) == (None, None, True)
        tracks = database.all("SELECT track FROM cursors WHERE stream_id = %(s)s", {"s": parts["id"]})
        assert tracks == [{"track": "live"}]
        assert database.all("SELECT track FROM runs") == [{"track": "live"}]
        assert streams(database)["sites"]["history_done_at"] is not None

    def test_a_shorter_history_is_read_by_nobody(self, database: Database) -> None:
        applied(database, plant())
        database.run("UPDATE streams SET history_done_at = now()")
        plan = applied(database, plant(history="30d"))
        assert {kind for kind, _ in kinds(plan)} == {"changed"}
        assert all(row["history_done_at"] is not None for row in streams(database).values())


class TestDrift:
    def test_what_was_edited_elsewhere_is_shown_and_left_alone(self, database: Database) -> None:
        applied(database, plant(labels={"region": "eu"}))
        database.run("""UPDATE connections SET tenant = 'byhand', labels = '{"region": "us", "more": "x"}'""")
        plan = applied(database, plant(labels={"region": "eu"}))
        assert kinds(plan) == [("drift", None)]
        assert [field.field for field in plan.changes[0].fields] == ["labels.more", "labels.region", "tenant"]
        assert not plan.changes_something
        assert find_connection(database, "plant-north")["tenant"] == "byhand"

    def test_drift_stays_drift_until_somebody_decides(self, database: Database) -> None:
        applied(database, plant())
        database.run("UPDATE streams SET schedule = %(s)s WHERE name = 'parts'", {"s": Jsonb({"every": 120})})
        for _ in range(2):
            assert kinds(applied(database, plant(schedule={"every": "15m"}))).count(("drift", "parts")) == 1
        plan = applied(database, plant(schedule={"every": "15m"}), overwrite=True)
        assert kinds(plan) == [("changed", "parts")]
        assert streams(database)["parts"]["schedule"] == {"every": 900}
        assert applied(database, plant(schedule={"every": "15m"})).changes == ()

    def test_drift_heals_where_the_file_follows(self, database: Database) -> None:
        applied(database, plant())
        database.run("UPDATE connections SET tenant = 'acme'")
        assert applied(database, plant(tenant="acme")).changes == ()
        assert kinds(applied(database, plant(tenant="acme2"))) == [("changed", None)]

    def test_a_connection_that_no_file_made_is_taken_over_by_its_name(self, database: Database) -> None:
        database.run(
            "INSERT INTO connections (name, system, tenant) VALUES ('Plant north', 'demo', 'byhand')"
        )
        plan = applied(database, plant())
        assert ("drift", None) in kinds(plan)
        assert find_connection(database, "plant-north")["tenant"] == "byhand"
        assert len(streams(database)) == STREAMS
        assert any("made elsewhere" in note for note in plan.notes)


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
        for table, rows in {"connections": 1, "records": 0, "runs": 0, "cursors": 0}.items():
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
        """The page is written and waits for its fence: nothing of it may be left behind the deletion."""
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
            remover = threading.Thread(target=remove_connection, args=(database, "plant-north"))
            remover.start()
            wait_for_lock(database)
            try:
                fenced = worker.execute("UPDATE runs SET pages = 1 WHERE id = %s", [run]).rowcount == 1
            except psycopg.errors.DeadlockDetected:
                fenced = False
            # Postgres ends one of the two. Was it the remover, then the page is committed, and deleted at its next try.
            if fenced:
                worker.commit()
            else:
                worker.rollback()
            remover.join(timeout=30)
            assert not remover.is_alive()
        assert count(database, "connections") == 0
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
        assert count(database, "records") == 0


class TestTwoAtOnce:
    def test_two_applies_of_one_file_make_one_connection(self, database: Database) -> None:
        plans: list[Plan] = []
        threads = [
            threading.Thread(target=lambda: plans.append(applied(database, plant()))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert sorted(plan.changes_something for plan in plans) == [False, False, True]
        assert count(database, "connections") == 1

    def test_who_waits_too_long_is_told_so_and_changed_nothing(
        self, database: Database, database_url: str
    ) -> None:
        with psycopg.connect(database_url) as other:
            other.execute(queries.lock_apply)
            database.run("SET lock_timeout = '100ms'")  # of the pooled connection, which comes first again
            with pytest.raises(Transient, match="Try again") as caught:
                applied(database, plant())
        assert caught.value.code == "connections_busy"
        assert count(database, "connections") == 0


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
        connection = find_connection(database, "Plant north")["id"]
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


def wait_for_lock(database: Database) -> None:
    """Until somebody waits for a lock."""
    pause_between = threading.Event()
    for _ in range(400):
        row = database.one("SELECT count(*) AS n FROM pg_locks WHERE NOT granted")
        if row and row["n"]:
            return
        pause_between.wait(0.025)
    raise AssertionError("nobody waits for a lock")
