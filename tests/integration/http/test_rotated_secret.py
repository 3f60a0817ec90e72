"""A secret that was rotated in its store: a refusal has it read again, once, and the same request goes well."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import httpx
import pytest
from servers.network.listening import HttpProxy, System
from servers.secrets.fresh import Begin

from worker.config import get_settings
from worker.connectors.answers import failure_of_status
from worker.connectors.auth import HeaderAuth
from worker.connectors.contract import Limits, Request, Response
from worker.errors import HeadraceError, NeedsOperator
from worker.http.sender import CallContext, Sender
from worker.http.wire.process import close_shared_wire
from worker.limits.budget import Budgets
from worker.secrets.stores.known import STORES
from worker.secrets.stores.port import unresolved
from worker.telemetry.steps import Steps

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class PlantSource:
    base_url: str = "https://plant.test"
    transport: str = "http"
    auth: HeaderAuth = field(default_factory=lambda: HeaderAuth("Authorization", "Bearer ", "token"))
    limits: Limits = field(default_factory=Limits)

    def stream(self, name: str) -> object:
        raise NotImplementedError(name)

    def failure(self, response: Response) -> HeadraceError | None:
        return failure_of_status(response.status)


@dataclass
class Rotating:
    """A store in the place of Vault, and a system that knows its value."""

    value: str = "planted-first"
    good: str = "planted-first"
    reads: int = 0
    refuses_with: int = 401
    lost: bool = False
    """Headrace may read it no longer."""
    asked: list[str] = field(default_factory=list)

    def read(self, _name: str) -> str:
        self.reads += 1
        if self.lost:
            raise unresolved("vault://secret/app#token", "Headrace may not do that", "Ask.")
        return self.value

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.headers["authorization"].removeprefix("Bearer "))
        return httpx.Response(200 if self.asked[-1] == self.good else self.refuses_with, text="{}")


@pytest.fixture
def rotating(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Rotating, Begin]]:
    begin, store = Begin(monkeypatch), Rotating()
    begin({"VAULT_ADDR": "http://vault.test"})
    monkeypatch.setattr(STORES["vault"], "read", store.read)
    yield store, begin
    get_settings.cache_clear()


@pytest.fixture
def sender(broker_url: str, rotating: tuple[Rotating, Begin]) -> Iterator[Sender]:
    budgets = Budgets(broker_url, short_wait=2)
    yield Sender(budgets, timeout=5, max_bytes=1000, transport=httpx.MockTransport(rotating[0]))
    budgets.close()


def ask(
    sender: Sender, base_url: str = "https://plant.test", network: Mapping[str, str] = MappingProxyType({})
) -> int:
    context = CallContext(
        connection_id=1,
        account="plant",
        lane=3,
        source=PlantSource(base_url),  # type: ignore[arg-type]
        network=network,
        secrets={"token": "vault://secret/app#token"},
        request_id="r",
        steps=Steps(),
    )
    return sender.send(context, Request("GET", "assets")).status


@pytest.mark.parametrize("status", [401, 403])
def test_a_rotation_is_taken_up_by_the_request_that_is_refused(
    sender: Sender, rotating: tuple[Rotating, Begin], status: int
) -> None:
    plant, begin = rotating
    plant.refuses_with = status
    assert ask(sender) == 200
    plant.value = plant.good = "planted-second"
    begin.now += 60
    assert [ask(sender), ask(sender)] == [200, 200]
    assert plant.asked == ["planted-first", "planted-first", "planted-second", "planted-second"]
    assert plant.reads == 2


def test_refusals_that_no_rotation_explains_do_not_hammer_the_store(
    sender: Sender, rotating: tuple[Rotating, Begin]
) -> None:
    plant, begin = rotating
    ask(sender)
    plant.good = "planted-unknown"
    begin.now += 60
    for _ in range(10):
        with pytest.raises(NeedsOperator):
            ask(sender)
    assert plant.reads == 2
    assert len(plant.asked) == 11


def test_a_403_that_is_no_rotation_is_said_as_it_is_and_asks_the_store_once_in_the_age_of_a_value(
    sender: Sender, rotating: tuple[Rotating, Begin]
) -> None:
    plant, begin = rotating
    ask(sender)
    plant.good, plant.refuses_with = "planted-unknown", 403
    for _ in range(20):
        begin.now += 15
        with pytest.raises(NeedsOperator, match="answered 403"):
            ask(sender)
    assert plant.reads == 2
    assert len(plant.asked) == 21


def test_a_403_is_not_hidden_by_a_store_that_refuses_the_secret_too(
    sender: Sender, rotating: tuple[Rotating, Begin]
) -> None:
    plant, _ = rotating
    ask(sender)
    plant.good, plant.refuses_with, plant.lost = "planted-unknown", 403, True
    with pytest.raises(NeedsOperator, match="answered 403"):
        ask(sender)
    with pytest.raises(NeedsOperator, match="Headrace may not do that"):
        ask(sender)


def test_a_proxys_password_that_was_rotated_is_read_again_once_the_old_one_is_refused(
    broker_url: str, rotating: tuple[Rotating, Begin]
) -> None:
    store, begin = rotating
    budgets, system = Budgets(broker_url, short_wait=2), System()
    proxy = HttpProxy({"plant.test": system.port}, login="headrace:planted-first")
    sender = Sender(budgets, timeout=5, max_bytes=1000)
    network = {
        "proxy": f"http://127.0.0.1:{proxy.port}",
        "proxy_user": "headrace",
        "proxy_password": "vault://secret/proxy#password",
    }
    try:
        assert ask(sender, "http://plant.test", network) == 200
        store.value = "planted-second"
        proxy.login = "headrace:planted-second"
        proxy.drop()
        begin.now += 20
        with pytest.raises(NeedsOperator, match="does not accept its user and password"):
            ask(sender, "http://plant.test", network)
        assert ask(sender, "http://plant.test", network) == 200
    finally:
        for each in (proxy, system, budgets):
            each.close()
        close_shared_wire()
