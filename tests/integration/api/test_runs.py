"""Runs, as a client of the API has them: watched, stopped, tried again; and syncs, waited for."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from servers.installation.application import Application
from servers.rows.customers import STREAM, Customers

from scheduler.access.principal import Scope
from scheduler.api.waiting.endings import Endings
from scheduler.runs.acts import ended
from worker.db.database import Database
from worker.runs.claim import claim_run
from worker.runs.finish import Failure, finish_run, give_back
from worker.runs.states import State

acts_before = [0]
"""The audit log is never emptied."""
SYNCS = f"/v1/connections/acme/streams/{STREAM}/syncs"


@pytest.fixture
def api(customers: Customers, broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setenv("HEADRACE_BROKER_URL", broker_url)
    for statement in (
        "DELETE FROM runs",
        "DELETE FROM run_history",
        "UPDATE connections SET paused_at = NULL",
        "UPDATE streams SET enabled = true, history_paused_at = NULL",
    ):
        customers.database.run(statement)
    [row] = customers.database.all("SELECT count(*) AS acts FROM audit WHERE action !~ '^token'")
    acts_before[:] = [row["acts"]]
    return customers.api()


def asked(api: Application, **body: Any) -> dict[str, Any]:
    answer = api.post(SYNCS, body)
    assert answer.status_code == 202, answer.text
    [run] = answer.json()["runs"]
    return dict(run)


def claimed(database: Database, run: dict[str, Any]) -> int:
    found = claim_run(database, UUID(run["id"]), worker="here:1", lease=30)
    assert found is not None
    return found.claim_no


def end(database: Database, run: dict[str, Any], outcome: State, failure: Failure | None = None) -> None:
    finish_run(database, UUID(run["id"]), claimed(database, run), outcome, failure=failure)


def acts(database: Database) -> list[tuple[str, str, str | None]]:
    rows = database.all(
        "SELECT action, actor, tenant FROM audit WHERE action !~ '^token' ORDER BY id OFFSET %(n)s",
        {"n": acts_before[0]},
    )
    return [(row["action"], row["actor"], row["tenant"]) for row in rows]


def test_a_sync_says_how_many_come_first_and_that_nobody_serves_its_queue(api: Application) -> None:
    run = asked(api)
    assert (run["ahead"], run["begins_in"], run["joined"], run["run"]) == (0, None, False, None)
    assert asked(api)["joined"]
    shown = api.read(run["url"])
    assert (shown["state"], shown["ahead"], shown["begins_in"]) == ("queued", 0, None)


def test_asking_for_a_sync_is_noted_with_whoever_asked(api: Application, customers: Customers) -> None:
    asked(api)
    assert acts(customers.database) == [("sync.request", "t", "acme")]


def test_a_queued_run_is_cancelled_at_once(api: Application, customers: Customers) -> None:
    run = asked(api)
    answer = api.ask("POST", f"{run['url']}/cancel")
    assert (answer.status_code, answer.json()["outcome"]) == (202, "cancelled")
    assert api.read(run["url"])["state"] == "cancelled"
    assert acts(customers.database)[-1] == ("run.cancel", "t", "acme")


def test_a_running_one_ends_at_its_next_page(api: Application, customers: Customers) -> None:
    run = asked(api)
    claimed(customers.database, run)
    assert api.ask("POST", f"{run['url']}/cancel").json()["outcome"] == "cancelling"


@pytest.mark.parametrize("what", ["cancel", "retry"])
def test_of_a_run_that_ended_well_there_is_nothing_to_stop_or_try_again(
    api: Application, customers: Customers, what: str
) -> None:
    run = asked(api)
    end(customers.database, run, State.SUCCEEDED)
    answer = api.ask("POST", f"{run['url']}/{what}")
    assert answer.status_code == 409
    assert answer.json()["code"] == {"cancel": "run_ended", "retry": "run_ended_well"}[what]
    assert [act for act, *_ in acts(customers.database)] == ["sync.request"]


def test_a_run_that_failed_is_tried_again_with_what_it_was_for(
    api: Application, customers: Customers
) -> None:
    run = asked(api)
    end(customers.database, run, State.FAILED, Failure("refused", "401"))
    answer = api.ask("POST", f"{run['url']}/retry")
    assert answer.status_code == 202, answer.text
    again = answer.json()
    assert answer.headers["location"] == again["url"]
    assert again["id"] != run["id"]
    shown = api.read(again["url"])
    assert (shown["state"], shown["track"], shown["lane"], shown["cause"]) == (
        "queued",
        "live",
        "on_demand",
        "api",
    )
    assert acts(customers.database)[-1] == ("run.retry", "t", "acme")
    assert api.ask("POST", f"{run['url']}/retry").json()["joined"]


def test_a_run_that_waits_to_be_tried_again_is_tried_now(api: Application, customers: Customers) -> None:
    run = asked(api)
    claim = claimed(customers.database, run)
    give_back(customers.database, UUID(run["id"]), claim, wait=600, reason="retry", spent=True)
    again = api.ask("POST", f"{run['url']}/retry").json()
    assert (again["id"], again["joined"]) == (run["id"], True)
    [row] = customers.database.all("SELECT not_before <= now() AS due FROM runs")
    assert row["due"]


def test_what_may_not_run_now_is_not_tried_again(api: Application, customers: Customers) -> None:
    run = asked(api)
    end(customers.database, run, State.FAILED)
    customers.database.run("UPDATE connections SET paused_at = now()")
    assert api.ask("POST", f"{run['url']}/retry").json()["code"] == "connection_paused"
    customers.database.run("UPDATE connections SET paused_at = NULL")
    customers.database.run("UPDATE streams SET enabled = false")
    assert api.ask("POST", f"{run['url']}/retry").json()["code"] == "stream_off"


@pytest.mark.parametrize("what", ["cancel", "retry"])
def test_nobody_stops_or_tries_what_they_do_not_see(
    api: Application, customers: Customers, what: str
) -> None:
    run = asked(api)
    for limits in ({"tenants": ["brick"]}, {"environment": "test"}, {"connections": ["own"]}):
        answer = customers.api(**limits).ask("POST", f"{run['url']}/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_run")
    reader = customers.api(scopes=[Scope.READ])
    assert reader.ask("POST", f"{run['url']}/{what}").status_code == 403
    assert api.read(run["url"])["state"] == "queued"


def test_a_history_that_was_cancelled_goes_on(api: Application, customers: Customers) -> None:
    customers.database.run("UPDATE runs SET track = 'history'")
    run = asked(api)
    customers.database.run("UPDATE runs SET track = 'history', lane = 4, queue = 'sync.demo.bulk'")
    api.ask("POST", f"{run['url']}/cancel")
    assert customers.database.all("SELECT FROM streams WHERE history_paused_at IS NOT NULL")
    again = api.ask("POST", f"{run['url']}/retry")
    assert again.status_code == 202, again.text
    shown = api.read(again.json()["url"])
    assert (shown["track"], shown["lane"], shown["queue"]) == ("history", "backfill", "sync.demo.bulk")
    assert not customers.database.all("SELECT FROM streams WHERE history_paused_at IS NOT NULL")


def test_a_cancelled_run_of_events_sets_them_aside_and_a_retry_takes_them_up(
    api: Application, customers: Customers
) -> None:
    run = asked(api)
    customers.database.run("UPDATE runs SET track = 'events', lane = 1 WHERE id = %(id)s", run)
    customers.database.run(
        """INSERT INTO events (connection_id, stream_id, kind, key, event_key, request_id, record)
           SELECT connection_id, stream_id, kind, 'WO-1', kind, 'r', '{}'
             FROM runs, unnest(ARRAY['full', 'delete']) kind WHERE id = %(id)s""",
        run,
    )
    states = "SELECT kind, state, outcome, record IS NULL AS gone FROM events ORDER BY event_key"
    assert api.ask("POST", f"{run['url']}/cancel").status_code == 202
    assert [tuple(row.values()) for row in customers.database.all(states)] == [
        ("delete", "failed", "cancelled", True),
        ("full", "failed", "cancelled", True),
    ]
    again = api.ask("POST", f"{run['url']}/retry")
    assert again.status_code == 202, again.text
    shown = api.read(again.json()["url"])
    assert (shown["track"], shown["lane"]) == ("events", "webhook")
    assert [tuple(row.values())[:3] for row in customers.database.all(states)] == [
        ("delete", "pending", None),
        ("record", "pending", None),
    ]


def test_whoever_waits_is_told_when_it_has_ended(api: Application, customers: Customers) -> None:
    answers = _while_waiting(
        api, customers.database, lambda run: end(customers.database, run, State.SUCCEEDED)
    )
    assert answers[0].status_code == 200
    [run] = answers[0].json()["runs"]
    assert (run["run"]["state"], run["run"]["id"]) == ("succeeded", run["id"])


def test_whoever_waits_for_a_run_that_is_merged_waits_for_the_other(
    api: Application, customers: Customers
) -> None:
    database = customers.database

    def merge(run: dict[str, Any]) -> None:
        claim = claimed(database, run)
        other = database.one(
            "INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id)"
            " SELECT stream_id, connection_id, queue, account, track, lane, cause, 'other' FROM runs RETURNING id"
        )
        assert other is not None
        give_back(database, UUID(run["id"]), claim, wait=0, reason="retry", spent=False)
        end(database, {"id": str(other["id"])}, State.PARTIAL)

    [answer] = _while_waiting(api, database, merge)
    [run] = answer.json()["runs"]
    assert answer.status_code == 200
    assert run["run"]["state"] == "partial"
    assert run["run"]["id"] != run["id"]


def _while_waiting(api: Application, database: Database, work: Callable[[dict[str, Any]], None]) -> Any:
    async def go() -> Any:
        waiting = asyncio.create_task(asyncio.to_thread(api.ask, "POST", SYNCS + "?wait=30"))
        for _ in range(600):
            if found := await asyncio.to_thread(database.all, "SELECT id FROM runs"):
                break
            await asyncio.sleep(0.02)
        await asyncio.to_thread(work, {"id": str(found[0]["id"])})
        return [await waiting]

    return asyncio.run(go())


def test_when_the_time_is_over_the_run_is_told_as_it_stands(api: Application) -> None:
    answer = api.ask("POST", SYNCS + "?wait=0.05")
    assert answer.status_code == 202
    assert answer.json()["runs"][0]["run"]["state"] == "queued"
    shown = api.read(answer.json()["runs"][0]["url"] + "?wait=0.05")
    assert shown["state"] == "queued"


def test_those_who_wait_hold_neither_a_thread_nor_a_connection(database: Database) -> None:
    """Three hundred wait; there are forty threads and four connections."""
    looks = []

    def look(runs: Any) -> dict[UUID, UUID | None]:
        looks.append(len(runs))
        return ended(database, runs)

    async def many() -> None:
        endings = Endings(look, every=0.02)
        open_ones = [UUID(int=number) for number in range(300)]
        database.run("INSERT INTO connections (name, system) VALUES ('plant', 'demo');")
        database.run(
            "INSERT INTO streams (connection_id, name, bucket, schedule) SELECT id, 's' || n, 1, '{}' FROM connections,"
            " generate_series(0, 299) n"
        )
        database.run(
            "INSERT INTO runs (id, stream_id, connection_id, queue, account, track, lane, cause, request_id)"
            " SELECT lpad(to_hex(row_number() OVER (ORDER BY id) - 1), 32, '0')::uuid, id, connection_id, 'q', 'a', 'live', 3,"
            " 'api', 'r' FROM streams"
        )
        waiting = [asyncio.create_task(endings.wait([run], 20)) for run in open_ones]
        for _ in range(500):
            if max(looks, default=0) == 300:
                break
            await asyncio.sleep(0.02)
        await asyncio.to_thread(database.run, "DELETE FROM runs")
        assert all(await asyncio.gather(*waiting))

    asyncio.run(many())
    assert max(looks) == 300
    assert len(looks) < 300, "one look serves all of them"
