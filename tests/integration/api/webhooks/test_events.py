"""What webhooks told of is seen, found and done again by whoever may see the connection, and by nobody else."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from servers.rows.customers import Customers

from scheduler.access.principal import Scope
from scheduler.webhooks.events import prune_event_keys, prune_refusals

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _nothing_told(customers: Customers) -> None:
    customers.database.run("TRUNCATE events, event_keys, webhook_refusals")
    customers.database.run("DELETE FROM runs WHERE track = 'events'")


def event(customers: Customers, name: str, key: str = "WO-1", **more: Any) -> UUID:
    columns = {
        "connection_id": customers.connections[name], "stream_id": customers.streams[name], "kind": "record",
        "key": key, "event_key": f"e-{key}", "request_id": "r", "state": "done", **more,
    }  # fmt: skip
    row = customers.database.one(
        f"INSERT INTO events ({', '.join(columns)})"
        f" VALUES ({', '.join(f'%({column})s' for column in columns)}) RETURNING id",
        columns,
    )
    assert row is not None
    found: UUID = row["id"]
    return found


def refusal(customers: Customers, name: str | None) -> None:
    customers.database.run(
        "INSERT INTO webhook_refusals (connection_id, name, reason, words, request_id)"
        " VALUES (%(id)s, 'x', 'bad_signature', 'No signature is right.', 'r')",
        {"id": None if name is None else customers.connections[name]},
    )


def state_of(customers: Customers, event_id: UUID) -> dict[str, Any]:
    row = customers.database.one("SELECT * FROM events WHERE id = %(id)s", {"id": event_id})
    assert row is not None
    return dict(row)


def test_events_are_listed_the_newest_first_page_by_page(customers: Customers) -> None:
    ids = sorted(event(customers, "acme", f"WO-{n}") for n in range(3))
    first = customers.whole.read("/v1/events", limit=2)
    rest = customers.whole.read("/v1/events", limit=2, cursor=first["next"])
    assert [each["id"] for each in first["events"] + rest["events"]] == [str(id_) for id_ in reversed(ids)]
    assert rest["next"] is None


def test_events_are_found_by_record_and_state(customers: Customers) -> None:
    event(customers, "acme", "WO-1", state="failed", error="The system says 400.")
    event(customers, "acme", "WO-2")
    found = customers.whole.read("/v1/events", connection="acme", stream="orders", key="WO-1", state="failed")
    assert [(each["key"], each["error"]) for each in found["events"]] == [("WO-1", "The system says 400.")]
    assert customers.whole.read("/v1/events", connection="brick")["events"] == []


def test_of_another_customer_neither_events_nor_refusals_exist(customers: Customers) -> None:
    theirs = event(customers, "brick")
    event(customers, "acme")
    for name in ("acme", "brick", None):
        refusal(customers, name)
    limited = customers.api(tenants=["acme"])
    assert [each["connection"] for each in limited.read("/v1/events")["events"]] == ["acme"]
    assert [each["connection"] for each in limited.read("/v1/webhook-refusals")["refusals"]] == ["acme"]
    assert limited.get(f"/v1/events/{theirs}").status_code == 404
    assert limited.post(f"/v1/events/{theirs}/replay", None).status_code == 404
    assert state_of(customers, theirs)["state"] == "done"


def test_an_event_is_done_again_by_a_run_and_noted(customers: Customers) -> None:
    whole = event(customers, "acme", kind="full", outcome="updated")
    answer = customers.whole.post(f"/v1/events/{whole}/replay", None)
    assert (answer.status_code, answer.json()) == (202, {"events": 1, "more": False})
    found = state_of(customers, whole)
    assert (found["state"], found["kind"], found["outcome"]) == ("pending", "record", None)
    runs = customers.database.all("SELECT stream_id, lane FROM runs WHERE track = 'events'")
    assert runs == [{"stream_id": customers.streams["acme"], "lane": 1}]
    acts = customers.whole.read("/v1/audit", action="events.replay")["acts"]
    assert [each["detail"] for each in acts] == [{"events": 1}]
    assert acts[0]["target"] == f"acme/{whole}"


def test_what_waits_anyway_is_left_as_it_is(customers: Customers) -> None:
    waits = event(customers, "acme", state="pending", attempts=3)
    assert customers.whole.post(f"/v1/events/{waits}/replay", None).json() == {"events": 0, "more": False}
    assert state_of(customers, waits)["attempts"] == 3


def test_the_failed_ones_of_a_stream_are_done_again_together(customers: Customers) -> None:
    failed = [event(customers, "acme", f"F-{n}", state="failed") for n in range(2)]
    done = event(customers, "acme", "D-1")
    elsewhere = event(customers, "own", state="failed")
    body = {"state": "failed", "stream": "orders"}
    assert customers.whole.post("/v1/connections/acme/events/replay", body).json()["events"] == 2
    assert [state_of(customers, each)["state"] for each in failed] == ["pending"] * 2
    assert [state_of(customers, each)["state"] for each in (done, elsewhere)] == ["done", "failed"]


def test_who_may_only_read_has_nothing_done_again(customers: Customers) -> None:
    theirs = event(customers, "acme")
    reader = customers.api(scopes=[Scope.READ])
    assert reader.post(f"/v1/events/{theirs}/replay", None).status_code == 403


def test_keys_and_refusals_go_when_their_time_is_over(customers: Customers) -> None:
    database = customers.database
    database.run(
        "INSERT INTO event_keys (connection_id, key, received_at)"
        " VALUES (1, 'old', now() - interval '31 days'), (1, 'new', now())"
    )
    refusal(customers, "acme")
    database.run("UPDATE webhook_refusals SET id = '00000000-0000-7000-8000-000000000000'")
    refusal(customers, "acme")
    old, new = (each["at"] for each in reversed(customers.whole.read("/v1/webhook-refusals")["refusals"]))
    assert old.startswith("1970-01-01")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(new)) < timedelta(hours=1)
    assert (prune_event_keys(database, 30, 100), prune_refusals(database, 2, 100)) == (1, 1)
    assert database.all("SELECT key FROM event_keys") == [{"key": "new"}]
    assert database.one("SELECT count(*) AS n FROM webhook_refusals") == {"n": 1}
