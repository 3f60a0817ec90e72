"""Every route, and everybody who must not pass: made from the routes themselves, so that a new one can't be forgotten.

Who adds a route with a parameter or a body that isn't known here is told to say what another's would be.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from fastapi import APIRouter
from servers.postgres import PostgresServer
from servers.rows.customers import Customers, new_customers

from scheduler.access.audit import COMMAND_LINE, note_act
from scheduler.access.principal import Scope
from scheduler.access.tokens import digest_of, make_token
from scheduler.api.app import create_app
from scheduler.api.scopes import Door, doors_of, require_scopes
from worker.db.database import Database

pytestmark = pytest.mark.integration

OWNED = {"connection_id", "run_id", "name", "token_id", "link_id", "event_id"}
"""Parameters of paths that name something that is somebody's."""
WITHIN = {"stream": "orders", "key": "WO-1", "record_id": str(uuid4())}
"""Those that name something within it."""
COMMON = {"system": "demo", "model": "work_order", "path": "workers"}
"""Those that name something that is nobody's."""
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/connections/{connection_id}/history"): {"action": "pause"},
    ("POST", "/v1/connections/{connection_id}/upgrade"): {"dry_run": True},
    ("POST", "/v1/connections/{connection_id}/streams/{stream}/deletes"): {"decision": "reject"},
    ("POST", "/v1/connections/{connection_id}/streams/{stream}/quarantine"): {"action": "discard"},
    ("POST", "/v1/connections/{connection_id}/streams/{stream}/erasures"): {"key": "WO-1"},
    ("PATCH", "/v1/connections/{connection_id}"): {"budget": "mine"},
    ("PATCH", "/v1/connections/{connection_id}/streams/{stream}"): {"enabled": False},
}
"""What is sent where a body is needed before anything is looked up."""
QUERIES: dict[tuple[str, str], dict[str, str]] = {
    ("DELETE", "/v1/connections/{connection_id}"): {"data": "keep"},
    ("DELETE", "/v1/connections/{connection_id}/streams/{stream}/erasures"): {"key": "WO-1"},
}
"""The same of parameters that are needed."""
MAKES_ITS_OWN = {("PUT", "/v1/consumers/{name}")}
"""Where whoever asks gets one of their own under the name of another's."""


class Everybody:
    """The installation, what each of its customers has, and all routes."""

    def __init__(self, customers: Customers) -> None:
        self.customers = customers
        self.doors = [door for door in doors_of(create_app(customers.database)) if not door.is_open]
        self.asked = 0
        self.names = cache(self._names)

    def _names(self, connection: str) -> dict[str, str]:
        """What the parameters of paths would be for what is of this connection."""
        database, number = self.customers.database, self.customers.connections[connection]
        run = database.one("SELECT id FROM run_history WHERE connection_id = %(id)s", {"id": number})
        token = database.one("SELECT id FROM tokens WHERE name = %(name)s", {"name": connection})
        assert run is not None
        assert token is not None
        link = database.one("SELECT id FROM connect_links WHERE name = %(name)s", {"name": connection})
        event = database.one("SELECT id FROM events WHERE connection_id = %(id)s", {"id": number})
        assert link is not None
        assert event is not None
        return {
            "connection_id": connection,
            "run_id": str(run["id"]),
            "name": connection,
            "token_id": str(token["id"]),
            "link_id": str(link["id"]),
            "event_id": str(event["id"]),
        }

    def ask(self, door: Door, token: str | None, owned: dict[str, str], **others: str) -> Any:
        """What a client with this token is answered, without what differs from one answer to the next."""
        self.asked += 1
        (method,) = door.methods
        path = door.path.replace("{path:path}", "{path}").format(**owned | WITHIN | COMMON | others)
        source = f"10.1.{self.asked // 250}.{self.asked % 250}"  # nobody is taken for somebody who guesses
        body = BODIES.get((method, door.path))
        client = self.customers.whole.shown(token).coming_from(source)
        answer = client.ask(method, path, json=body, params=QUERIES.get((method, door.path)))
        said: dict[str, Any] = {}
        if answer.headers.get("content-type", "").startswith("application/problem"):
            said = {key: value for key, value in answer.json().items() if key not in {"request_id", "hint"}}
            for name in owned.values():
                said["detail"] = said["detail"].replace(name, "NAME")
        return answer.status_code, said, answer.text


@pytest.fixture(scope="module")
def everybody(postgres_server: PostgresServer) -> Iterator[Everybody]:
    with postgres_server.fresh_database() as url:
        database = Database(url, name="test", pool=4)
        customers = new_customers(database)
        for name in ("acme", "brick"):
            token = customers.token(tenants=[name], name=name)
            assert (
                customers.whole.shown(token).ask("PUT", f"/v1/consumers/{name}", json={}).status_code == 200
            )
            database.run(
                "INSERT INTO subscriptions (name, url, secret, position, environment, tenants)"
                " VALUES (%(name)s, %(url)s, 'env://X', '1.0.0', 'live', %(tenants)s)",
                {"name": f"x\n{name}", "url": f"http://{name}", "tenants": [name]},
            )
            ids = {"id": customers.connections[name], "stream": customers.streams[name], "name": name}
            database.run(
                "INSERT INTO events (connection_id, stream_id, kind, event_key, request_id)"
                " VALUES (%(id)s, %(stream)s, 'stream', 'e', 'r')",
                ids,
            )
            database.run(
                "INSERT INTO connect_links (digest, environment, system, connection_id, name, tenant, store, expires_at)"
                " VALUES (sha256(%(name)s::text::bytea), 'live', 'demo', %(id)s, %(name)s, %(name)s, 'env://X',"
                " now() + interval '1 day')",
                ids,
            )
            with database.transaction() as tx:
                row = {"id": customers.connections[name], "environment": "live", "tenant": name}
                note_act(tx, COMMAND_LINE, "connection.pause", name, about=row)
        yield Everybody(customers)
        database.close()


def _words(answers: dict[Any, Any]) -> str:
    return "\n".join(f"{door}: {answer}" for door, answer in answers.items())


NOBODY = {name: str(uuid4()) for name in OWNED}


def test_whoever_shows_no_valid_token_learns_nothing_from_any_route(everybody: Everybody) -> None:
    customers = everybody.customers
    gone, revoked, elsewhere = (
        customers.token(),
        customers.token(),
        customers.token(networks=["192.0.2.0/24"]),
    )
    by_digest = " WHERE digest = %(digest)s"
    expire = "UPDATE tokens SET expires_at = now() - interval '1 second'"
    customers.database.run(expire + by_digest, {"digest": digest_of(gone)})
    customers.database.run("UPDATE tokens SET revoked_at = now()" + by_digest, {"digest": digest_of(revoked)})
    strangers = {
        "none": None, "garbage": "hr_live_garbage", "unknown": make_token("live"), "expired": gone,
        "revoked": revoked, "from elsewhere": elsewhere,
    }  # fmt: skip
    told = {
        (who, *sorted(door.methods), door.path): everybody.ask(door, token, owned)[:2]
        for who, token in strangers.items()
        for door in everybody.doors
        for owned in (everybody.names("acme"), NOBODY)
    }
    [(status, said)] = {str(answer): answer for answer in told.values()}.values()
    assert (status, said["code"]) == (401, "unauthorized")


def test_a_token_without_the_scope_is_refused_whether_or_not_there_is_such_a_thing(
    everybody: Everybody,
) -> None:
    lacking = {
        Scope.SYNC: [Scope.READ, Scope.WRITE],
        Scope.WRITE: [Scope.READ, Scope.SYNC],
        Scope.ADMIN: [Scope.READ, Scope.SYNC, Scope.WRITE],
    }
    tokens = {scope: everybody.customers.token(scopes=scopes) for scope, scopes in lacking.items()}
    wrong = {}
    for door in everybody.doors:
        for scope in door.scopes - {Scope.READ}:
            answers = [
                everybody.ask(door, tokens[scope], owned)[:2] for owned in (everybody.names("acme"), NOBODY)
            ]
            if answers[0] != answers[1] or (answers[0][0], answers[0][1].get("code")) != (403, "forbidden"):
                wrong[door.path, scope] = answers
    assert not wrong, _words(wrong)


@pytest.mark.parametrize(
    "limits",
    [{"environment": "test"}, {"tenants": ["acme"]}, {"connections": ["acme"]}, {"tenants": []}],
    ids=["another environment", "another tenant", "another connection", "no tenant"],
)
def test_what_a_token_does_not_see_is_answered_like_what_is_not_there(
    everybody: Everybody, limits: dict[str, Any]
) -> None:
    token, wrong = everybody.customers.token(**limits), {}
    for door in everybody.doors:
        (method,) = door.methods
        if (method, door.path) in MAKES_ITS_OWN or not any(f"{{{name}}}" in door.path for name in OWNED):
            continue
        theirs, nobodys = (
            everybody.ask(door, token, owned)[:2] for owned in (everybody.names("brick"), NOBODY)
        )
        if theirs != nobodys or theirs[0] != 404:
            wrong[method, door.path] = (theirs, nobodys)
    assert not wrong, _words(wrong)


def test_whoever_sees_it_is_answered_there(everybody: Everybody) -> None:
    token, owned = everybody.customers.token(tenants=["brick"]), everybody.names("brick")
    unseen = {
        door.path: answer[:2]
        for door in everybody.doors
        if door.methods == {"GET"} and any(f"{{{name}}}" in door.path for name in OWNED)
        and "{record_id}" not in door.path
        and (answer := everybody.ask(door, token, owned))[0] >= 400
    }  # fmt: skip
    assert not unseen, _words(unseen)


def test_no_list_says_a_word_about_another_tenant(everybody: Everybody) -> None:
    acme, brick = (everybody.customers.token(tenants=[name]) for name in ("acme", "brick"))
    lists = [
        door
        for door in everybody.doors
        if door.methods == {"GET"} and not any(f"{{{name}}}" in door.path for name in OWNED)
    ]
    told = {door.path: everybody.ask(door, acme, NOBODY) for door in lists}
    assert [path for path, answer in told.items() if "brick" in answer[2]] == []
    assert {path for path, answer in told.items() if answer[0] not in {200, 307, 403}} == set()
    theirs = {door.path for door in lists if "brick" in everybody.ask(door, brick, NOBODY)[2]}
    assert {"/v1/connections", "/v1/runs", "/v1/changes", "/v1/consumers", "/v1/subscriptions", "/v1/drift",
            "/v1/quarantine", "/v1/tokens", "/v1/audit"} <= theirs  # fmt: skip


def test_an_application_with_a_route_that_names_no_scope_does_not_start(everybody: Everybody) -> None:
    app = create_app(everybody.customers.database)
    require_scopes(app)
    router = APIRouter()
    router.get("/v1/secrets")(lambda: "all of them")
    app.include_router(router)
    with pytest.raises(ValueError, match="/v1/secrets"):
        require_scopes(app)


@pytest.mark.parametrize("name", ["a%00b", "a%2Fb", "%FF", "%F0%9F%98%80", "..%2F.."])
def test_a_name_that_nothing_can_have_is_refused_by_every_route_and_never_a_fault(
    everybody: Everybody, name: str
) -> None:
    token = everybody.customers.token(scopes=[*Scope])
    wrong = {}
    for door in everybody.doors:
        for parameter in [
            parameter for parameter in OWNED | {*WITHIN, *COMMON} if f"{{{parameter}" in door.path
        ]:
            (method,) = door.methods
            if (method, door.path) in MAKES_ITS_OWN:
                continue
            answer = everybody.ask(door, token, NOBODY, **{parameter: name})
            if not 400 <= answer[0] < 500:
                wrong[method, door.path, parameter] = answer[:2]
    assert not wrong, _words(wrong)


@pytest.mark.parametrize("query", ["%00=1", "connection=%00", "tenant=%00", "cursor=%00", "label=a%3A%00"])
def test_a_query_with_a_nul_is_refused_by_every_list_and_never_a_fault(
    everybody: Everybody, query: str
) -> None:
    token, wrong = everybody.customers.token(), {}
    for door in everybody.doors:
        if door.methods == {"GET"} and "{" not in door.path and door.path != "/flower":
            answer = everybody.customers.whole.shown(token).ask("GET", f"{door.path}?{query}")
            if not 400 <= answer.status_code < 500:
                wrong[door.path] = answer.status_code
    assert not wrong, _words(wrong)
