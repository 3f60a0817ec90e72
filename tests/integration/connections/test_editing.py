"""Connections made and changed one by one, as the API does it: the checks, the rows and the drift of a file."""

from typing import Any
from uuid import uuid4

import pytest
from servers.rows.connection_rows import REGISTRY, STREAMS, applied, count, kinds, plant, streams

from scheduler.access.allowed import NotAllowed
from scheduler.access.audit import Actor
from scheduler.access.principal import Principal, Scope
from scheduler.connections.editing.body import Mistaken, body_of, read_body
from scheduler.connections.editing.disconnect import disconnect
from scheduler.connections.editing.edit import Editor, change_connection, create_connection
from scheduler.connections.editing.shown import read_shown
from scheduler.connections.pause import Disconnected, pause, resume
from scheduler.connections.resolve import find_connection
from worker.db.database import Database
from worker.errors import InvalidInput, NotFound

pytestmark = pytest.mark.integration

OPERATOR = Editor(Actor("operator"))


def editor(**limits: Any) -> Editor:
    who = Principal(uuid4(), "someone", "live", frozenset({Scope.ADMIN}), **limits)
    return Editor(Actor("someone", who.token_id, "live"), who)


def entry(which: str = "north", /, **fields: Any) -> dict[str, Any]:
    made = plant(which, **fields)
    del made["id"]
    return made


def created(database: Database, by: Editor = OPERATOR, /, **fields: Any) -> int:
    return create_connection(database, REGISTRY, body_of(entry(**fields)), by)


def changed(database: Database, number: int, by: Editor = OPERATOR, /, **patch: Any) -> list[str]:
    done = change_connection(database, REGISTRY, number, patch, by)
    return [f"{change.stream or ''}:{change.kind}" for change in done]


class TestCreating:
    def test_the_rows_are_those_that_a_file_would_have_made(self, database: Database) -> None:
        number = created(database, labels={"region": "eu"}, streams={"parts": {"enabled": False}})
        row = find_connection(database, str(number))
        assert (row["file_id"], row["applied"], row["labels"]) == (None, None, {"region": "eu"})
        rows = streams(database)
        assert len(rows) == STREAMS
        assert [name for name, each in rows.items() if not each["due"]] == ["parts"]

    def test_everything_wrong_is_told_at_once_by_its_field(self, database: Database) -> None:
        with pytest.raises(Mistaken) as caught:
            created(
                database, settings={"base_url": 5}, history="9y", labels={"a": 1}, schedule={"every": "1s"}
            )
        assert {(problem.code, problem.place) for problem in caught.value.problems} == {
            ("bad_value", "body.settings.base_url"),
            ("bad_value", "body.history"),
            ("bad_value", "body.labels.a"),
            ("bad_schedule", "body.schedule.every"),
        }
        assert count(database, "connections") == 0

    def test_a_plain_secret_is_refused_and_not_repeated(self, database: Database) -> None:
        with pytest.raises(Mistaken) as caught:
            created(database, secrets={"token": "hunter2-hunter2"})
        assert (caught.value.code, caught.value.place) == ("plain_secret", "body.secrets.token")
        assert "hunter2" not in str(caught.value)

    def test_a_name_that_is_taken_is_refused(self, database: Database) -> None:
        created(database)
        with pytest.raises(InvalidInput) as caught:
            created(database)
        assert (caught.value.code, caught.value.place) == ("name_taken", "body.name")

    @pytest.mark.parametrize(
        ("body", "code"),
        [(b"[]", "bad_value"), (b'{"a":1,"a":2}', "bad_json"), (b'{"a":NaN}', "bad_json"), (b"", "bad_json"),
         (b'{"a":"\\ud800"}', "bad_json"), (b"[" * 5000, "bad_json"), (b"\xff", "bad_json")],
    )  # fmt: skip
    def test_json_is_read_as_strictly_as_a_file(self, body: bytes, code: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            read_body(body)
        assert (caught.value.code, caught.value.place) == (code, "body")

    def test_it_is_in_the_audit_log(self, database: Database) -> None:
        number = created(database, editor())
        assert database.all("SELECT actor, action, target, connection_id FROM audit") == [
            {
                "actor": "someone",
                "action": "connection.create",
                "target": "Plant north",
                "connection_id": number,
            }
        ]


class TestChanging:
    def test_only_what_is_named_changes(self, database: Database) -> None:
        number = created(database, labels={"a": "1", "b": "2"}, streams={"parts": {"history": "all"}})
        assert changed(database, number, name="South", labels={"a": None, "c": "3"}, tenant="acme") == [
            ":changed"
        ]
        row = find_connection(database, "South")
        assert (row["labels"], row["tenant"]) == ({"b": "2", "c": "3"}, "acme")
        assert streams(database)["parts"]["history_days"] is None

    def test_what_stands_on_the_connection_changes_all_streams(self, database: Database) -> None:
        number = created(database, streams={"parts": {"schedule": {"every": "1h"}}})
        changed(database, number, schedule={"every": "5m"}, streams={"sites": {"schedule": {"every": "1d"}}})
        found = {name: row["schedule"]["every"] for name, row in streams(database).items()}
        assert found == {name: 86400 if name == "sites" else 300 for name in found}

    def test_a_stream_is_switched_off_and_on(self, database: Database) -> None:
        number = created(database)
        assert changed(database, number, streams={"parts": {"enabled": False}}) == ["parts:switched off"]
        assert not streams(database)["parts"]["due"]
        assert changed(database, number, streams={"parts": {"enabled": True}}) == ["parts:switched on"]
        assert streams(database)["parts"]["due"]

    def test_null_takes_an_option_back_to_its_default(self, database: Database) -> None:
        number = created(database, keep_versions="90d")
        changed(database, number, keep_versions=None, streams={"parts": {"keep_versions": "30d"}})
        found = read_shown(database, REGISTRY, number)["streams"]
        assert [name for name, each in found.items() if "keep_versions" in each] == ["parts"]

    def test_nothing_named_is_nothing_changed(self, database: Database) -> None:
        number = created(
            database, labels={"a": "1"}, exclude=["notes"], sweep="2d", windows={"deny": [{"days": "sat"}]}
        )
        before = read_shown(database, REGISTRY, number)
        assert changed(database, number) == []
        assert read_shown(database, REGISTRY, number) == before

    @pytest.mark.parametrize(
        ("patch", "code", "place"),
        [
            ({"system": "tryton"}, "system_changed", "body.system"),
            ({"environment": "test"}, "environment_changed", "body.environment"),
            ({"name": None}, "bad_value", "body.name"),
            ({"streams": None}, "bad_value", "body.streams"),
            ({"nam": "x"}, "unknown_key", "body.nam"),
            ({"nam": None}, "unknown_key", "body.nam"),
            ({"settings": {"base_url": None}}, "missing_key", "body.settings.base_url"),
            ({"secrets": {"token": None}}, "missing_secret", "body"),
            ({"streams": {"nope": {"enabled": False}}}, "unknown_stream", "body.streams.nope"),
            ({"streams": {"parts": {"history": "3y"}}}, "bad_value", "body.streams.parts.history"),
            ({"labels": "x"}, "bad_value", "body.labels"),
        ],
    )
    def test_what_a_file_could_not_say_is_refused(
        self, database: Database, patch: dict[str, Any], code: str, place: str
    ) -> None:
        number = created(database)
        before = read_shown(database, REGISTRY, number)
        with pytest.raises(InvalidInput) as caught:
            change_connection(database, REGISTRY, number, patch, OPERATOR)
        assert (caught.value.code, caught.value.place) == (code, place)
        assert read_shown(database, REGISTRY, number) == before

    def test_a_change_of_nothing_there_is_not_found(self, database: Database) -> None:
        with pytest.raises(NotFound):
            changed(database, 99, name="x")

    def test_the_audit_log_names_the_fields_and_no_values(self, database: Database) -> None:
        number = created(database)
        changed(
            database,
            number,
            settings={"base_url": "http://127.0.0.1:8"},
            streams={"parts": {"history": "all"}},
        )
        row = database.one("SELECT detail FROM audit WHERE action = 'connection.change'")
        assert row == {"detail": {"changed": ["settings.base_url", "parts: history_days"]}}


class TestDrift:
    def test_an_edit_of_what_a_file_owns_is_drift_there(self, database: Database) -> None:
        file = plant(streams={"parts": {"schedule": {"every": "1h"}}})
        applied(database, file)
        number = find_connection(database, "Plant north")["id"]
        changed(database, number, tenant="acme", streams={"parts": {"schedule": {"every": "2h"}}})
        plan = applied(database, file)
        assert kinds(plan) == [("drift", None), ("drift", "parts")]
        assert find_connection(database, "Plant north")["tenant"] == "acme"
        applied(database, file, overwrite=True)
        assert find_connection(database, "Plant north")["tenant"] is None
        assert streams(database)["parts"]["schedule"] == {"every": 3600}

    def test_a_file_leaves_connections_alone_that_it_did_not_make(self, database: Database) -> None:
        number = created(database)
        plan = applied(database, plant("south"), prune=True)
        assert kinds(plan) == [("created", None)]
        assert find_connection(database, str(number))["file_id"] is None

    def test_a_file_that_names_one_takes_it_over_and_shows_what_differs(self, database: Database) -> None:
        created(database, tenant="acme")
        plan = applied(database, plant())
        assert kinds(plan) == [("drift", None)]
        row = find_connection(database, "Plant north")
        assert (row["file_id"], row["tenant"]) == ("plant-north", "acme")


class TestLoggingInAnew:
    WAITING = """INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id, not_before,
                                  wait_reason, published_at)
                 SELECT id, connection_id, 'sync.demo', 'a', 'live', 3, 'schedule', 'r', now() + interval '5 min', 'limit', now()
                   FROM streams WHERE connection_id = %(id)s AND name = 'parts'"""
    FAILED = """UPDATE streams SET failures = 3, next_run_at = now() + interval '1 h', history_next_at = now() + interval '1 h'
                 WHERE connection_id = %(id)s AND name = 'sites'"""
    NOW = """SELECT (SELECT bool_and(not_before <= now() AND published_at IS NULL) FROM runs) AS runs,
                    (SELECT next_run_at <= now() AND history_next_at IS NULL FROM streams WHERE name = 'sites') AS streams"""

    @pytest.mark.parametrize(
        ("patch", "at_once"),
        [
            ({"secrets": {"token": "env://ANEW"}}, True),
            ({"settings": {"base_url": "http://127.0.0.1:10"}}, True),
            ({"labels": {"a": "b"}}, False),
        ],
    )
    def test_what_was_refused_before_is_tried_at_once(
        self, database: Database, patch: dict[str, Any], at_once: bool
    ) -> None:
        number = created(database)
        for statement in (self.WAITING, self.FAILED):
            database.run(statement, {"id": number})
        changed(database, number, **patch)
        assert database.all(self.NOW) == [{"runs": at_once, "streams": at_once}]

    def test_a_file_that_names_another_secret_does_the_same(self, database: Database) -> None:
        applied(database, plant())
        number = find_connection(database, "Plant north")["id"]
        for statement in (self.WAITING, self.FAILED):
            database.run(statement, {"id": number})
        applied(database, plant(secrets={"token": "env://ANEW"}))
        assert database.all(self.NOW) == [{"runs": True, "streams": True}]


class TestRights:
    def test_a_token_for_one_customer_makes_connections_of_that_customer(self, database: Database) -> None:
        by = editor(tenants=frozenset({"acme"}), secret_prefixes=("env://ACME_",))
        number = created(database, by, name="Acme north", secrets={"token": "env://ACME_TOKEN"})
        assert find_connection(database, str(number))["tenant"] == "acme"
        with pytest.raises(NotAllowed) as caught:
            created(database, by, name="B", tenant="other", secrets={"token": "env://ACME_TOKEN"})
        assert caught.value.code == "other_tenant"
        with pytest.raises(NotAllowed) as caught:
            changed(database, number, by, tenant=None)
        assert caught.value.code == "other_tenant"

    def test_a_token_for_some_connections_makes_none(self, database: Database) -> None:
        with pytest.raises(NotAllowed) as caught:
            created(database, editor(connections=frozenset({1})))
        assert caught.value.code == "connections_fixed"

    def test_a_token_of_the_other_environment_makes_none_here(self, database: Database) -> None:
        with pytest.raises(NotAllowed) as caught:
            created(database, editor(), environment="test")
        assert caught.value.code == "other_environment"

    def test_a_secret_beyond_the_tokens_prefixes_is_refused(self, database: Database) -> None:
        by = editor(secret_prefixes=("env://ACME_",))
        with pytest.raises(NotAllowed) as caught:
            created(database, by, secrets={"token": "env://OTHER"})
        assert (caught.value.code, caught.value.place) == ("secret_not_allowed", "body.secrets.token")

    def test_another_s_secret_is_not_sent_to_a_host_of_ones_own(self, database: Database) -> None:
        number = created(database, secrets={"token": "env://OTHER"}, tenant="acme")
        by = editor(tenants=frozenset({"acme"}), secret_prefixes=("env://ACME_",))
        with pytest.raises(NotAllowed) as caught:
            changed(database, number, by, settings={"base_url": "https://evil.example"})
        assert (caught.value.code, caught.value.place) == ("secret_not_allowed", "body.secrets.token")
        assert find_connection(database, str(number))["settings"] == {"base_url": "http://127.0.0.1:9"}
        changed(database, number, by, name="Acme, renamed", streams={"parts": {"enabled": False}})
        changed(
            database, number, by,
            settings={"base_url": "https://mine.example"}, secrets={"token": "env://ACME_OWN"},
        )  # fmt: skip

    def test_a_budget_of_connections_out_of_sight_is_not_joined(self, database: Database) -> None:
        created(database, name="theirs", budget="shared", tenant="other")
        by = editor(tenants=frozenset({"acme"}), secret_prefixes=("env://",))
        with pytest.raises(NotAllowed) as caught:
            created(database, by, name="acme", budget="shared")
        assert caught.value.code == "budget_not_yours"
        number = created(database, by, name="acme", budget="acme-own")
        with pytest.raises(NotAllowed):
            changed(database, number, by, budget="shared")

    @pytest.mark.parametrize("theirs", ["acme-north 1", "Acme-North"])
    def test_what_is_named_after_a_longer_tenant_is_that_tenant_s_whether_or_not_it_is_there(
        self, database: Database, theirs: str
    ) -> None:
        """`acme` learns neither which names `acme-north` has, nor takes one, nor spends its budget."""
        created(database, name=theirs, budget="acme-north", tenant="acme-north")
        by = editor(tenants=frozenset({"acme"}), secret_prefixes=("env://",))
        number = created(database, by, name="acme-northern", budget="acme-northern")
        words = [("name", word) for word in ("acme-north 1", "Acme-North", "acme-NORTH/2")]
        for field, wanted in (*words, ("budget", "acme-north"), ("budget", "acme-north.2")):
            for trying in (
                lambda f=field, w=wanted: created(database, by, **({"name": "acme 9"} | {f: w})),
                lambda f=field, w=wanted: changed(database, number, by, **{f: w}),
            ):
                with pytest.raises(NotAllowed) as caught:
                    trying()
                assert caught.value.code == f"{field}_not_yours"
        of_both = editor(tenants=frozenset({"acme", "acme-north"}), secret_prefixes=("env://",))
        created(database, of_both, name="acme-north 2", tenant="acme")

    @pytest.mark.parametrize(
        ("field", "word"), [("name", "Brick"), ("name", "Nobody"), ("budget", "brick"), ("budget", "none")]
    )
    def test_who_tries_names_learns_nothing_of_those_that_others_have(
        self, database: Database, field: str, word: str
    ) -> None:
        """What is taken and what isn't is answered alike, to whoever makes one and to whoever changes it."""
        created(database, name="Brick", budget="brick", tenant="brick")
        by = editor(tenants=frozenset({"acme"}), secret_prefixes=("env://",))
        number = created(database, by, name="Acme")
        fixed = editor(connections=frozenset({number}), secret_prefixes=("env://",))
        for try_it in (
            lambda: created(database, by, **{"name": "Acme 2", field: word}),
            lambda: changed(database, number, by, **{field: word}),
            lambda: changed(database, number, fixed, **{field: word}),
        ):
            with pytest.raises(NotAllowed) as caught:
                try_it()
            assert (caught.value.code, caught.value.place) == (f"{field}_not_yours", f"body.{field}")
            assert word not in str(caught.value)

    def test_what_a_token_does_not_see_is_not_found(self, database: Database) -> None:
        number = created(database, tenant="other")
        with pytest.raises(NotFound):
            changed(database, number, editor(tenants=frozenset({"acme"})), name="x")


class TestDisconnecting:
    def test_its_secrets_go_and_nothing_is_planned_any_more(self, database: Database) -> None:
        number = created(database)
        assert disconnect(database, number, OPERATOR.actor) == STREAMS
        row = find_connection(database, str(number))
        assert row["secrets"] == {}
        assert row["paused_at"] is not None
        assert not any(each["due"] for each in streams(database).values())
        with pytest.raises(Disconnected):
            resume(database, row["name"])

    def test_given_secrets_again_it_goes_on(self, database: Database) -> None:
        number = created(database)
        disconnect(database, number, OPERATOR.actor)
        changed(database, number, secrets={"token": "env://NEW"})
        assert resume(database, "Plant north").changed
        assert all(each["due"] for each in streams(database).values())

    def test_pausing_is_in_the_audit_log_once(self, database: Database) -> None:
        created(database)
        pause(database, "Plant north", actor=Actor("x"))
        pause(database, "Plant north", actor=Actor("x"))
        rows = database.all("SELECT action FROM audit ORDER BY id")
        assert [row["action"] for row in rows] == ["connection.create", "connection.pause"]
