"""Every list is read in pages: each row comes once, in the order of the whole list, and filters narrow what is shown."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from servers.installation.application import Application
from servers.postgres import PostgresServer
from servers.rows.customers import CONNECTIONS, STREAM, Customers, new_customers

from worker.db.database import Database

pytestmark = pytest.mark.integration

STREAMS = f"/v1/connections/acme/streams/{STREAM}"
LISTS = {
    "/v1/connections": "connections",
    "/v1/runs": "runs",
    "/v1/quarantine": "quarantine",
    f"{STREAMS}/quarantine": "records",
    "/v1/drift": "fields",
    "/v1/deletes": "deletes",
    f"{STREAMS}/deletes": "examples",
    f"{STREAMS}/records": "records",
    "/v1/runs/{run}/changes": "changes",
    "/v1/connections/acme/verifications": "verifications",
    "/v1/consumers": "consumers",
    "/v1/subscriptions": "subscriptions",
    "/v1/tokens": "tokens",
    "/v1/audit": "acts",
    "/v1/connect-links": "links",
    "/v1/events": "events",
    "/v1/webhook-refusals": "refusals",
    "/v1/webhooks": "webhooks",
}
"""By path, the name of what it lists. `{run}` is one that changed something."""

_ONE_MORE = (
    """INSERT INTO stream_fields (stream_id, path, types) SELECT id, ARRAY['lines', '*', 'Größe'], '{text}' FROM streams""",
    """INSERT INTO quarantine (stream_id, content_hash, key, code, reason, raw, run_id, page)
       SELECT id, gen_random_uuid(), n::text, 'bad_time', 'no', '{}', gen_random_uuid(), 1
         FROM streams, generate_series(1, 2) n""",
    """INSERT INTO suspects (stream_id, key, suspected_at, evidence_at, generation, reason, fuse)
       SELECT id, 'K/' || n, now(), now(), 1, 'sweep', CASE WHEN n = 2 THEN 1 END FROM streams, generate_series(1, 4) n""",
    """INSERT INTO verifications (run_id, stream_id, started_at, methods, scope, allowance, requests, checked, copy_records,
                                  missing, extra, different, pending, repaired, proven, words)
       SELECT headrace_uuid7(), id, now(), '{complete}', '{}', 1, 1, 1, 1, 0, 0, 0, 0, 0, true, 'equal' FROM streams""",
    """INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, cause_kind, cause_id,
                            change_kind)
       SELECT bucket, s.id, repeat('😀', n), '{}', gen_random_uuid(), now(), now(), 'run', h.id, 'created'
         FROM streams s JOIN run_history h ON h.stream_id = s.id, unnest(ARRAY[900, 999]) n""",
    """INSERT INTO events (connection_id, stream_id, kind, key, event_key, request_id)
       SELECT connection_id, id, 'record', 'WO-1', n::text, 'r' FROM streams, generate_series(1, 2) n""",
    """INSERT INTO webhook_refusals (connection_id, name, reason, words, request_id)
       SELECT id, name, 'bad_signature', 'no', 'r' FROM connections, generate_series(1, 2)""",
    """INSERT INTO webhook_counts (connection_id, received) SELECT id, 1 FROM connections""",
    """INSERT INTO connect_links (digest, environment, system, name, tenant, store, expires_at)
       SELECT sha256(n::text::bytea), 'live', 'demo', 'new', CASE WHEN n > 1 THEN 'acme' END, 'env://X', now()
         FROM generate_series(1, 3) n""",
)  # fmt: skip


@pytest.fixture(scope="module")
def customers(postgres_server: PostgresServer) -> Iterator[Customers]:
    """With more than one row of everything."""
    with postgres_server.fresh_database() as url:
        database = Database(url, name="test", pool=4)
        made = new_customers(database)
        for statement in _ONE_MORE:
            database.run(statement)
        for name in ("erp", "b/i", "lager"):
            made.api().ask("PUT", f"/v1/consumers/{quote(name, safe='')}", json={})
        for name, about in (("all", {}), ("acmes", {"tenant": "acme"}), ("own", {"connection": "own"})):
            made_it = made.api().ask(
                "POST", "/v1/subscriptions",
                json={"name": name, "url": "https://hooks.example.com/", "secret": "env://S", **about},
            )  # fmt: skip
            assert made_it.status_code == 201, made_it.text
        yield made
        database.close()


def here(customers: Customers, path: str) -> str:
    run = customers.database.one(
        "SELECT id FROM run_history WHERE connection_id = %(id)s", {"id": customers.connections["acme"]}
    )
    assert run is not None
    return path.format(run=run["id"])


@pytest.mark.parametrize("path", LISTS)
def test_pages_of_one_hold_together_what_a_whole_page_holds(customers: Customers, path: str) -> None:
    api, name, path = customers.api(), LISTS[path], here(customers, path)
    whole = api.read(path, limit=100)
    assert whole["next"] is None
    assert len(whole[name]) > 1, whole
    found: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = api.read(path, limit=1, **cursor)
        assert len(page[name]) <= 1
        found += page[name]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
        assert len(found) <= len(whole[name]), found
    assert [_kept(row) for row in found] == [_kept(row) for row in whole[name]]


def _kept(row: Any) -> Any:
    """Without what goes on meanwhile: each request is a use of the token."""
    return {key: value for key, value in row.items() if not key.startswith(("last_used", "behind"))}


@pytest.mark.parametrize("cursor", ["x", "W10", "e30", "WyJhIiwxLG51bGwsMl0", "bnVsbA", "W251bGxd", "ü"])
def test_a_cursor_that_no_page_gave_is_refused_by_every_list(customers: Customers, cursor: str) -> None:
    api = customers.api()
    answers = {path: api.get(f"{here(customers, path)}?cursor={quote(cursor)}") for path in LISTS}
    found = {path: (answer.status_code, answer.json().get("code")) for path, answer in answers.items()}
    assert set(found.values()) == {(422, "bad_cursor")}, found


@pytest.mark.parametrize(
    ("path", "field", "filters", "seen"),
    [
        ("/v1/connections", "name", {"system": "demo", "tenant": "acme"}, ["acme"]),
        ("/v1/connections", "name", {"system": "other"}, []),
        ("/v1/subscriptions", "name", {"tenant": "acme"}, ["acmes"]),
        ("/v1/subscriptions", "name", {"connection": "own"}, ["own"]),
        ("/v1/subscriptions", "name", {"environment": "test"}, []),
        ("/v1/deletes", "connection", {"tenant": "brick"}, ["brick"]),
        ("/v1/deletes", "connection", {"connection": "own"}, ["own"]),
        ("/v1/connect-links", "tenant", {"tenant": "acme"}, ["acme", "acme"]),
        ("/v1/connect-links", "tenant", {"connection": "acme"}, []),
        ("/v1/connect-links", "tenant", {"system": "other"}, []),
    ],
    ids=str,
)
def test_filters_leave_what_they_name(
    customers: Customers, path: str, field: str, filters: dict[str, str], seen: list[str]
) -> None:
    assert [row[field] for row in customers.api().read(path, **filters)[LISTS[path]]] == seen


def test_acts_and_tokens_of_a_customer_are_found(customers: Customers) -> None:
    customers.token(tenants=["acme"], name="theirs")
    api = customers.api()
    assert api.ask("POST", "/v1/connections/brick/pause").status_code == 200
    assert api.ask("POST", "/v1/connections/acme/pause").status_code == 200
    acts = api.read("/v1/audit", tenant="acme", action="connection.")["acts"]
    assert [(act["action"], act["tenant"]) for act in acts] == [("connection.pause", "acme")]
    assert {tuple(row["tenants"]) for row in api.read("/v1/tokens", tenant="acme")["tokens"]} == {("acme",)}
    limited = customers.api(tenants=["brick"], name="other")
    assert {act["tenant"] for act in limited.read("/v1/audit", action="connection.")["acts"]} == {"brick"}
    assert limited.read("/v1/audit", tenant="acme")["acts"] == []
    both = customers.api(connections=["acme"], tenants=["acme", "brick"])
    assert [act["tenant"] for act in both.read("/v1/audit", action="connection.")["acts"]] == ["acme"]
    assert set(CONNECTIONS) == set(customers.connections)


def test_acts_are_found_by_what_their_connections_are_labelled_now(
    customers: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, own, one = customers.api(), customers.api(tenants=["acme"]), customers.api(connections=["acme"])
    customers.database.run("UPDATE connections SET paused_at = NULL")
    begun = customers.database.one("SELECT clock_timestamp() AS now")
    assert begun is not None
    assert own.ask("POST", "/v1/connections/acme/pause").status_code == 200
    customers.database.run(
        """UPDATE connections SET tenant = 'moved', labels = '{"region": "north", "size": "large"}' WHERE name = 'acme'"""
    )
    assert api.ask("POST", "/v1/connections/acme/resume").status_code == 200
    assert api.ask("POST", "/v1/connections/brick/pause").status_code == 200

    def found(asking: Application, *label: str) -> list[tuple[str, str]]:
        since = begun["now"].isoformat()
        acts = asking.read("/v1/audit", label=list(label), action="connection.", since=since)["acts"]
        return [(act["action"].partition(".")[2], act["tenant"]) for act in acts]

    of_acme = [("resume", "moved"), ("pause", "acme")]
    for few in (200, 0):
        monkeypatch.setattr("scheduler.connections.few.FEW", few)
        assert found(api, "size:large") == found(one, "region:north", "size:large") == of_acme
        assert found(api, "region:south") == [("pause", "brick")]
        assert found(api, "region:south", "size:large") == []
        assert found(own, "size:large") == [], "it has left them, so what it is labelled isn't theirs to know"
    customers.database.run("UPDATE connections SET tenant = 'acme' WHERE name = 'acme'")
