"""What is done around an exchange by a carrier, with one that does as it is told in the place of a way to a system."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from servers.systems.sending import NOW, PASSWORD, Budget, Plant, context

from worker.connectors.contract import Request, Response, Source
from worker.errors import HeadraceError, NeedsOperator, RateLimited, Transient
from worker.http import Sender
from worker.http.carrier import Carrier, Errand
from worker.http.proof import LoginRefused
from worker.http.wire.message import TooLarge
from worker.telemetry.redaction import MASK


@dataclass
class Told:
    """A carrier."""

    does: Callable[[Errand], Response] = lambda _: Response(200, {}, b"[]", "plant")
    errands: list[Errand] = field(default_factory=list)
    closed: bool = False

    def place(self, source: Source) -> str:
        return "plant.example.com"

    def exchange(self, errand: Errand) -> Response:
        self.errands.append(errand)
        errand.moments.connecting()
        errand.moments.before_sending()
        return self.does(errand)

    def close(self) -> None:
        self.closed = True


def sends(budget: Budget, carrier: Carrier, **given: object) -> Sender:
    return Sender(budget, timeout=5, max_bytes=100, carriers={"sql": carrier}, clock=lambda: NOW)


def raising(error: Exception) -> Callable[[Errand], Response]:
    def does(errand: Errand) -> Response:
        raise error

    return does


ORDERS = Request("SELECT", "public.orders", body=b"{}", cost=2)


def test_a_request_goes_by_the_carrier_of_its_transport_under_the_accounts_budget(
    budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", PASSWORD)
    carrier, ctx = (
        Told(),
        context(
            Plant(transport="sql"),
            secrets={"password": "env://PLANT_PASSWORD"},
            network={"addresses": "public"},
        ),
    )
    heard: list[int] = []
    sender = sends(budget, carrier)
    answer = sender.send(ctx, ORDERS, heard.append)

    assert answer.body == b"[]"
    assert budget.taken == [("acme", 2, 2)]
    assert budget.in_use == 0
    errand = carrier.errands[0]
    assert (errand.request, errand.most, errand.network) == (ORDERS, 100, {"addresses": "public"})
    assert errand.secrets["password"].reveal() == PASSWORD
    assert PASSWORD not in repr(errand)
    errand.moments.comes(7)
    assert heard == [7]
    assert {entry["name"] for entry in ctx.steps.as_json()} == {"secrets", "budget", "request", "connect"}
    sender.close()
    assert carrier.closed


def test_a_transport_that_this_worker_lacks_is_said(budget: Budget) -> None:
    with pytest.raises(NeedsOperator) as caught:
        sends(budget, Told()).send(context(Plant(transport="tap")), ORDERS)
    assert caught.value.code == "no_transport"


@pytest.mark.parametrize("does", [raising(TooLarge()), lambda _: Response(200, {}, b"x" * 101, "plant")])
def test_an_answer_beyond_the_bound_is_asked_for_in_smaller_pages(
    budget: Budget, does: Callable[[Errand], Response]
) -> None:
    with pytest.raises(NeedsOperator) as caught:
        sends(budget, Told(does)).send(context(Plant(transport="sql")), ORDERS)
    assert caught.value.code == "page_too_large"


def test_a_system_that_is_asked_too_often_makes_its_account_wait(budget: Budget) -> None:
    with pytest.raises(RateLimited):
        sends(budget, Told(raising(Transient("throttled", "too many connections")))).send(
            context(Plant(transport="sql")), ORDERS
        )
    assert budget.held[0][0] == "acme"


@dataclass
class Counted:
    """Where a breaker counts."""

    added: list[tuple[str, bool]] = field(default_factory=list)

    def add(self, account: str, who: str, *, everywhere: bool, within: float) -> None:
        self.added.append((who, everywhere))

    def opened(self, account: str, *, since: int, until: int, within: float) -> bool:
        return False

    def cleared(self, account: str) -> int | None:
        return None


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (Transient("unreachable", "no connection"), [("7/public.orders", True)]),
        (Transient("timeout", "too slow"), [("7/public.orders", False)]),
        (Transient("paging_stuck", "ours"), []),
        (NeedsOperator("no_table", "it is gone"), []),
    ],
)
def test_what_no_answer_came_to_is_counted_and_a_refusal_is_an_answer(
    budget: Budget, error: HeadraceError, counted: list[tuple[str, bool]]
) -> None:
    counts = Counted()
    sender = Sender(budget, timeout=5, max_bytes=9, failures=counts, carriers={"sql": Told(raising(error))})
    with pytest.raises(type(error)) as caught:
        sender.send(context(Plant(transport="sql")), ORDERS)
    assert caught.value.code == error.code
    assert counts.added == counted


def test_a_refused_log_in_is_tried_again_only_with_another_secret(
    budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", PASSWORD)

    def does(errand: Errand) -> Response:
        with errand.log_in():
            monkeypatch.setenv("PLANT_PASSWORD", "rotated")
            if errand.secrets["password"].reveal() == PASSWORD:
                raise LoginRefused("auth_refused", "no")
        return Response(200, {}, b"[]", "plant")

    carrier = Told(does)
    ctx = context(Plant(transport="sql"), secrets={"password": "env://PLANT_PASSWORD"})
    assert sends(budget, carrier).send(ctx, ORDERS).body == b"[]"
    assert len(carrier.errands) == 2

    carrier.does = raising(LoginRefused("auth_refused", f"no, not with rotated or {PASSWORD}"))
    with pytest.raises(LoginRefused) as caught:
        sends(budget, carrier).send(ctx, ORDERS)
    assert MASK in caught.value.message
    assert len(carrier.errands) == 3
    assert budget.held[-1][0].startswith("login:")


@dataclass
class Keeps(Told):
    """A carrier that keeps something for a run."""

    left: list[str] = field(default_factory=list)

    def let_go(self, run: str) -> None:
        self.left.append(run)


def test_a_carrier_that_keeps_something_hears_whose_requests_they_are_and_when_no_more_come(
    budget: Budget,
) -> None:
    carrier, ctx = Keeps(), context(Plant(transport="sql"))
    sender = sends(budget, carrier)
    sender.send(ctx, ORDERS)
    sender.let_go(ctx)
    assert carrier.left == [carrier.errands[0].run]


def test_a_carrier_that_keeps_nothing_hears_of_no_end(budget: Budget) -> None:
    sends(budget, Told()).let_go(context(Plant(transport="sql")))
