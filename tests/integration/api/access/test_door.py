"""Who stands before the door: addresses through proxies, guessers, and what strangers learn."""

import asyncio
from typing import Any

import httpx
import pytest
from servers.rows.customers import Customers

from scheduler.access.door.guessing import TRIES
from scheduler.access.tokens import make_token
from scheduler.api.app import create_app
from scheduler.api.around.bodies import MAX_BODY

pytestmark = pytest.mark.integration

LONG = b" " * (MAX_BODY + 1)
PROXY, OFFICE, ELSEWHERE = "10.0.0.1", "192.0.2.9", "198.51.100.7"


class Door:
    """The API of one process, asked from addresses."""

    def __init__(self, customers: Customers) -> None:
        self._app = create_app(customers.database)

    def ask(self, token: str, peer: str = OFFICE, **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, client=(peer, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.get("/v1/session", headers=sent)

        return asyncio.run(asked())

    def told(
        self, token: str | None, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """The status of an answer, and which limit it tells of."""
        sent = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, client=(OFFICE, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                given = {name: value.encode() for name, value in sent.items()}
                return await client.post("/v1/tokens", headers=given, content=content)

        answer = asyncio.run(asked())
        policy = answer.headers["ratelimit-policy"]
        assert answer.headers["ratelimit"].startswith(policy.partition(";")[0] + ";r=")
        return answer.status_code, policy

    def status(self, token: str, peer: str = OFFICE, **headers: str) -> int:
        return self.ask(token, peer, **headers).status_code


@pytest.fixture
def door(customers: Customers, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setenv("HEADRACE_TRUSTED_PROXIES", "10.0.0.0/8 ::1")
    return Door(customers)


@pytest.fixture
def office(customers: Customers) -> str:
    """A token that is good from the office."""
    return customers.token(networks=["192.0.2.0/24"])


def test_a_token_is_good_from_its_networks_alone(door: Door, office: str) -> None:
    assert door.status(office, OFFICE) == 200
    refused, unknown = door.ask(office, ELSEWHERE), door.ask(make_token("live"), ELSEWHERE)
    assert refused.status_code == 401
    assert refused.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}


def test_through_a_trusted_proxy_the_clients_address_counts(door: Door, office: str) -> None:
    assert door.status(office, PROXY, X_Forwarded_For=OFFICE) == 200
    assert door.status(office, PROXY, X_Forwarded_For=ELSEWHERE) == 401
    assert door.status(office, PROXY) == 401


def test_nobody_says_themselves_where_they_are(door: Door, office: str) -> None:
    assert door.status(office, ELSEWHERE, X_Forwarded_For=OFFICE) == 401
    assert door.status(office, PROXY, X_Forwarded_For=f"{OFFICE}, {ELSEWHERE}") == 401
    assert door.status(office, PROXY, X_Forwarded_For=f"{OFFICE}, what") == 401
    assert door.status(office, ELSEWHERE, X_Real_IP=OFFICE, Forwarded=f"for={OFFICE}") == 401


def test_who_guesses_is_held_and_told_for_how_long(door: Door) -> None:
    statuses = [door.status(make_token("live")) for _ in range(TRIES)]
    assert set(statuses) == {401}
    held = door.ask(make_token("live"))
    assert (held.status_code, held.json()["code"]) == (429, "too_many_guesses")
    assert 1 <= int(held.headers["retry-after"]) <= 3
    assert held.json()["request_id"] == held.headers["x-request-id"]


def test_every_refusal_says_which_limit_it_falls_under(customers: Customers, door: Door) -> None:
    token, nobody = '"token";q=6000;w=60', '"guesses";q=20;w=60'
    mine = customers.token()
    assert door.told(mine, content=b"{", headers={"Content-Type": "application/json"}) == (422, token)
    assert door.told(mine, headers={"Idempotency-Key": "é"}) == (422, token)
    assert door.told(mine, content=LONG) == (413, token)
    assert door.told(mine, content=LONG, headers={"Idempotency-Key": "a"}) == (413, token)
    assert door.told(None, content=LONG) == door.told(None) == (401, nobody)
    assert door.told("nonsense") == (401, nobody)
    assert {door.told(make_token("live")) for _ in range(TRIES + 5)} == {(401, nobody), (429, nobody)}


def test_a_guesser_has_the_same_tries_at_all_processes_together(
    customers: Customers, door: Door, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_BROKER_URL", broker_url)
    first, second, third = Door(customers), Door(customers), Door(customers)
    known = customers.token()
    assert second.status(known) == 200
    assert {first.status(make_token("live")) for _ in range(TRIES)} == {401}
    assert 429 in [second.status(make_token("live")) for _ in range(3)]
    assert second.status(make_token("live"), ELSEWHERE) == 401
    assert second.status(known) == 200
    assert third.status(customers.token()) == 200
    assert door.status(make_token("live")) == 401  # it has no Valkey, and counts for itself


def test_while_valkey_is_away_each_process_counts_for_itself(
    customers: Customers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_BROKER_URL", "redis://127.0.0.1:1/0")
    door = Door(customers)
    assert {door.status(make_token("live")) for _ in range(TRIES)} == {401}
    assert door.status(make_token("live")) == 429
    assert door.status(customers.token(), ELSEWHERE) == 200


def test_neighbours_of_a_guesser_work_on(customers: Customers, door: Door) -> None:
    """Behind one address: who was let in before, also whoever's program sends nonsense; and everybody elsewhere."""
    known, elsewhere = customers.token(), customers.token()
    assert door.status(known) == 200
    for _ in range(TRIES + 5):
        door.status(make_token("live"))
    assert door.status(known) == 200
    assert door.status(elsewhere, ELSEWHERE) == 200


def test_nonsense_shuts_nobody_out(customers: Customers, door: Door) -> None:
    statuses = [door.status("undefined") for _ in range(TRIES + 5)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert door.status(customers.token()) == 200


def test_a_token_that_was_revoked_is_refused_while_its_neighbours_guess(
    customers: Customers, door: Door
) -> None:
    token = customers.token()
    assert door.status(token) == 200
    for _ in range(TRIES + 5):
        door.status(make_token("live"))
    customers.database.run("UPDATE tokens SET revoked_at = now() WHERE ending = %(end)s", {"end": token[-4:]})
    assert [door.status(token), door.status(token)] == [401, 429]


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "hr_live_",
        "hr_live_" + "0" * 28,
        make_token("live", bits=5)[:-1] + "é",
        "hr_prod_" + "0" * 28,
    ],
)
def test_strangers_get_one_answer(door: Door, token: str) -> None:
    sent = {"Authorization": f"Bearer {token}".encode()}
    answer = door.ask("", **sent)  # type: ignore[arg-type]
    expected: dict[str, Any] = door.ask(make_token("live")).json()
    assert answer.status_code == 401
    assert answer.json() | {"request_id": ""} == expected | {"request_id": ""}
