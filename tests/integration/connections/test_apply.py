"""The connections file against a real Postgres: all of it or nothing, twice is once, drift is left alone."""

import threading

import psycopg
import pytest
from psycopg.types.json import Jsonb
from servers.rows.connection_rows import REGISTRY, STREAMS, applied, count, kinds, plant, queue_run, streams

from scheduler.beat.due import next_due
from scheduler.connections.current import queries
from scheduler.connections.file import Problems
from scheduler.connections.plan import Plan
from scheduler.connections.resolve import find_connection
from worker.db.database import Database
from worker.errors import InvalidInput, Transient

pytestmark = pytest.mark.integration


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
        with pytest.raises(InvalidInput, match="live/Plant north") as caught:
            find_connection(database, "Plant north")
        assert caught.value.code == "ambiguous_connection"
        assert find_connection(database, "test/Plant north")["environment"] == "test"


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

    def test_a_longer_history_is_read_for_the_missing_time_only(self, database: Database) -> None:
        applied(database, plant())
        database.run("UPDATE streams SET history_done_at = now(), next_run_at = now() + interval '1 hour'")
        database.run(
            "INSERT INTO cursors (stream_id, track, slice, window_since, window_until, finished_at)"
            " SELECT id, 'history', '2026-03-01T00:00:00.000000Z', to_jsonb('2025-12-01T00:00:00.000000Z'::text),"
            " to_jsonb('2026-03-01T00:00:00.000000Z'::text), now() FROM streams"
        )
        database.run("INSERT INTO cursors (stream_id, track) SELECT id, 'live' FROM streams")
        queue_run(database, "parts", track="history", running=True)
        queue_run(database, "parts", track="live", running=True)
        plan = applied(database, plant(streams={"parts": {"history": "all"}}))
        assert kinds(plan) == [("re-fetched", "parts")]
        parts = streams(database)["parts"]
        assert (parts["history_days"], parts["history_done_at"], parts["due"]) == (None, None, True)
        slices = database.all(
            "SELECT slice, window_since, window_until, finished_at IS NOT NULL AS finished FROM cursors"
            " WHERE stream_id = %(s)s AND track = 'history' ORDER BY slice DESC",
            {"s": parts["id"]},
        )
        seam = "2025-12-01T00:00:00.000000Z"
        assert [(row["window_since"], row["finished"]) for row in slices] == [(seam, True), (None, False)]
        assert (slices[1]["slice"], slices[1]["window_until"]) == (seam, seam)
        assert database.all("SELECT track FROM runs") == [{"track": "live"}]
        assert streams(database)["sites"]["history_done_at"] is not None

    def test_a_shorter_history_drops_what_is_not_read_yet(self, database: Database) -> None:
        applied(database, plant(history="all"))
        database.run(
            "INSERT INTO cursors (stream_id, track, slice, window_since, window_until)"
            " SELECT id, 'history', '2020-01-01T00:00:00.000000Z', NULL,"
            " to_jsonb('2020-01-01T00:00:00.000000Z'::text) FROM streams"
        )
        database.run(
            "INSERT INTO cursors (stream_id, track, slice, window_since, window_until, finished_at)"
            " SELECT id, 'history', '2026-03-01T00:00:00.000000Z', to_jsonb('2020-01-01T00:00:00.000000Z'::text),"
            " to_jsonb('2026-03-01T00:00:00.000000Z'::text), now() FROM streams"
        )
        queue_run(database, "parts", track="history")
        applied(database, plant(history="30d"))
        left = database.all("SELECT slice FROM cursors WHERE track = 'history'")
        assert {row["slice"] for row in left} == {"2026-03-01T00:00:00.000000Z"}
        assert count(database, "runs") == 0
        assert all(row["history_done_at"] is not None for row in streams(database).values())

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
