"""The wires of networks: opened once, looked at again when it is time, and never more than so many."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from worker.errors import NeedsOperator, Transient
from worker.http.network import kept
from worker.http.network.kept import MOST_NETWORKS, NetworkWires
from worker.http.network.settings import Network
from worker.http.wire.deadline import Deadline

ONE = Network(ca="env://CA", proxy="http://proxy.example:1")


class Wire:
    def __init__(self, opened: Mapping[str, str]) -> None:
        self.opened = dict(opened)
        self.closed = False
        self.swept = 0
        self.raises: Exception | None = None

    def exchange(self, *_: Any) -> str:
        if self.raises is not None:
            raise self.raises
        return "answer"

    def sweep(self) -> None:
        self.swept += 1

    def close(self) -> None:
        self.closed = True


class Wires(NetworkWires):
    """Notes what was made and opened, at a time of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(kept, "monotonic", lambda: self.now)
        super().__init__(make=self._made)  # type: ignore[arg-type]
        self.made: list[Wire] = []
        self.store: dict[str, str | Exception] = {"env://CA": "pem"}
        self.opened = self.after_refusals = 0

    def _made(self, _network: Network, opened: Mapping[str, str]) -> Wire:
        self.made.append(Wire(opened))
        return self.made[-1]

    def open_reference(self, reference: str, refused: bool) -> str:
        self.after_refusals += refused
        self.opened += 1
        found = self.store[reference]
        if isinstance(found, Exception):
            raise found
        return found

    def ask(self, network: Network = ONE, environment: str = "live") -> Any:
        wire = self.of(network, environment, self.open_reference)
        return wire.exchange(None, None, Deadline.of(1, 1), 1)  # type: ignore[arg-type]


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> Wires:
    return Wires(monkeypatch)


def test_what_references_lead_to_is_opened_once_a_minute_and_made_anew_only_where_it_is_other(
    wires: Wires,
) -> None:
    wires.ask()
    wires.ask(Network(ca="env://CA", proxy="http://proxy.example:1"))
    assert (wires.opened, len(wires.made)) == (1, 1)
    wires.now += 61
    wires.ask()
    assert (wires.opened, len(wires.made)) == (2, 1)
    wires.store["env://CA"] = "renewed"
    wires.ask()
    wires.now += 61
    wires.ask()
    assert [wire.opened["ca"] for wire in wires.made] == ["pem", "renewed"]
    assert [wire.closed for wire in wires.made] == [True, False]


def test_while_a_store_is_down_what_was_opened_goes_on(wires: Wires) -> None:
    wires.ask()
    wires.store["env://CA"] = Transient("secret_store_unavailable", "down")
    wires.now += 61
    assert wires.ask() == "answer"
    with pytest.raises(Transient):
        wires.ask(environment="test")
    wires.store["env://CA"] = "pem"
    assert wires.ask(environment="test") == "answer"


def test_what_was_withdrawn_is_not_used_any_more(wires: Wires) -> None:
    wires.ask()
    wires.store["env://CA"] = NeedsOperator("secret_unresolved", "gone")
    wires.now += 61
    with pytest.raises(NeedsOperator):
        wires.ask()


def test_after_a_refusal_it_is_looked_at_again_at_once(wires: Wires) -> None:
    wires.ask()
    wires.made[0].raises = NeedsOperator("proxy_refused", "who?")
    with pytest.raises(NeedsOperator):
        wires.ask()
    wires.store["env://CA"] = "renewed"
    assert wires.ask() == "answer"
    assert wires.after_refusals == 1, "the store is asked, whatever its cache holds"
    wires.made[1].raises = httpx.ReadTimeout("slow")
    with pytest.raises(httpx.ReadTimeout):
        wires.ask()
    opened = wires.opened
    with pytest.raises(httpx.ReadTimeout):
        wires.ask()
    assert wires.opened == opened, "a slow system says nothing of a certificate"


def test_environments_share_no_wire(wires: Wires) -> None:
    wires.ask()
    wires.ask(environment="test")
    assert len(wires.made) == 2


def test_those_not_used_for_longest_go_and_idle_connections_are_swept(wires: Wires) -> None:
    for number in range(MOST_NETWORKS + 1):
        wires.ask(Network(proxy=f"http://proxy.example:{number + 1}"))
    assert [wire.closed for wire in wires.made] == [True] + [False] * MOST_NETWORKS
    wires.now += 31
    wires.ask(Network(proxy="http://proxy.example:2"))
    assert {wire.swept for wire in wires.made[1:]} == {1}
    wires.close()
    assert all(wire.closed for wire in wires.made)
