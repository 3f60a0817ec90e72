"""What an answer means is its system's to say: by rules of a manifest, or a hook, before its status counts."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers.systems.sending import Budget, Plant, SenderOf, context

from worker.connectors.contract import BaseHook, Moment, Request, Response
from worker.connectors.hooks.loading import LoadedHook
from worker.connectors.hooks.source import HookedSource
from worker.connectors.refusals.refusals import Refusals
from worker.connectors.refusals.rule import Rule
from worker.errors import HeadraceError, NeedsOperator, NotThere, RateLimited, Throttled, Transient
from worker.http import Sender
from worker.telemetry.redaction import MASK, redactor


class Session:
    """Logs in, and once more after a 401."""

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        for _ in range(2):
            if "token" not in held:
                held["token"] = (yield Request("POST", "login", body=b"")).body.decode()
            answer = yield replace(request, headers={"X-Token": held["token"]})
            if answer.status != 401:
                return
            del held["token"]


@dataclass
class Ruled(Plant):
    rules: list[dict[str, Any]] = field(default_factory=list)

    def failure(self, response: Response) -> HeadraceError | None:
        return Refusals.of(rules=tuple(map(Rule.read, self.rules))).failure(response)


EXPIRED = {"path": "error.code", "equals": "SESSION_EXPIRED", "kind": "auth_expired"}


def test_a_session_that_a_200_calls_expired_is_renewed_once(sender: SenderOf) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        if request.method == "POST":
            return httpx.Response(200, text=f"session-token-{len(asked)}")
        if request.headers["x-token"] == "session-token-1":
            return httpx.Response(200, json={"error": {"code": "SESSION_EXPIRED"}})
        return httpx.Response(200, json={"data": []})

    source = Ruled(Session(), rules=[EXPIRED])
    assert sender(handler).send(context(source), Request("GET", "parts")).body == b'{"data":[]}'
    assert asked == ["login", "parts", "login", "parts"]


def test_one_that_is_expired_again_at_once_needs_an_operator(sender: SenderOf) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(200, json={"error": {"code": "SESSION_EXPIRED", "message": "Log in, please."}})

    with pytest.raises(NeedsOperator, match="Log in, please") as caught:
        sender(handler).send(context(Ruled(Session(), rules=[EXPIRED])), Request("GET", "parts"))
    assert caught.value.code == "auth_refused"
    assert asked == ["POST", "GET", "POST", "GET"]


class Licensed(Session):
    """There is room for few sessions."""

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        answer = yield Request("POST", "login", body=b"")
        if b"Login Limit" in answer.body:
            raise Throttled("No more sessions.", seconds=90)
        yield request


def test_a_log_in_for_which_there_is_no_room_holds_the_account(sender: SenderOf, budget: Budget) -> None:
    sends = sender(lambda _: httpx.Response(500, text="API Login Limit"))
    with pytest.raises(RateLimited, match="No more sessions"):
        sends.send(context(Plant(Licensed())), Request("GET", "parts"))
    ((account, seconds, _),) = budget.held
    assert (account, seconds) == ("acme", 90)


@pytest.mark.parametrize(("kind", "failed"), [("validation", 0), ("not_found", 0), ("transient", 1)])
def test_a_500_by_which_a_system_refuses_is_no_outage(budget: Budget, kind: str, failed: int) -> None:
    heard: list[bool] = []
    transport = httpx.MockTransport(lambda _: httpx.Response(500, json={"name": "odoo.UserError"}))
    sends = Sender(budget, timeout=5, max_bytes=1000, transport=transport)
    sends._heeding._failed = lambda *_: heard.append(True)  # type: ignore[method-assign, assignment]
    rule = {"status": 500, "path": "name", "equals": "odoo.UserError", "kind": kind}
    with pytest.raises((NeedsOperator, Transient)):
        sends.send(context(Ruled(rules=[rule])), Request("GET", "parts"))
    assert len(heard) == failed


GONE = {"path": "error.code", "equals": "NO_SUCH", "kind": "not_found"}


@pytest.mark.parametrize(("absent", "status"), [({404, 410}, 404), ({410}, 410), ({400}, 400)])
def test_what_a_200_says_is_not_there_is_as_a_status_that_says_so(
    sender: SenderOf, absent: set[int], status: int
) -> None:
    sends = sender(lambda _: httpx.Response(200, json={"error": {"code": "NO_SUCH"}}))
    asked = Request("GET", "parts/7", absent=frozenset(absent))
    assert sends.send(context(Ruled(rules=[GONE])), asked).status == status


def test_a_rule_that_knows_a_404_for_something_else_buries_no_record(sender: SenderOf) -> None:
    sends = sender(lambda _: httpx.Response(404, json={"error": "Database not found"}))
    asked = Request("GET", "parts/7", absent=frozenset({404}))
    rule = {
        "status": 404,
        "path": "error",
        "matches": "Database not found",
        "kind": "operator",
        "code": "no_database",
    }
    with pytest.raises(NeedsOperator) as caught:
        sends.send(context(Ruled(rules=[rule])), asked)
    assert caught.value.code == "no_database"
    gone = {"status": 404, "path": "error", "equals": "Database not found", "kind": "not_found"}
    assert sends.send(context(Ruled(rules=[gone])), asked).status == 404
    assert sends.send(context(Ruled()), asked).status == 404
    whatever = {"path": "error", "kind": "operator"}
    assert sends.send(context(Ruled(rules=[whatever])), asked).status == 404


def test_where_nobody_asked_for_one_thing_it_needs_an_operator(sender: SenderOf) -> None:
    sends = sender(lambda _: httpx.Response(200, json={"error": {"code": "NO_SUCH"}}))
    with pytest.raises(NotThere):
        sends.send(context(Ruled(rules=[GONE])), Request("GET", "parts"))


def test_a_wait_of_a_rule_holds_the_account(sender: SenderOf, budget: Budget) -> None:
    rule = {"path": "errors.0.message", "matches": "in ([0-9]+) seconds", "kind": "rate_limited"}
    body = {"errors": [{"message": "Try again in 12 seconds."}]}
    with pytest.raises(HeadraceError) as caught:
        sender(lambda _: httpx.Response(200, json=body)).send(
            context(Ruled(rules=[rule])), Request("GET", "parts")
        )
    assert caught.value.code == "rate_limited"
    assert not isinstance(caught.value, Throttled)
    assert [(account, seconds) for account, seconds, _ in budget.held] == [("acme", 12.0)]


class Doubling(BaseHook):
    def request(self, request: Request) -> Request:
        return replace(request, url="of_the_hook")

    def response(self, response: Response) -> Response:
        return replace(response, body=response.body * 2)

    def failure(self, response: Response) -> HeadraceError | None:
        return NotThere("not_found", "It said no.") if response.body == b"nono" else None


def hooked_plant() -> Any:
    return HookedSource(Plant(), LoadedHook(Doubling, str(Path(__file__))), {})  # type: ignore[arg-type]


def test_what_is_sent_and_read_is_what_the_hook_makes_of_it(sender: SenderOf) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, text="ab")

    taken: list[int] = []
    answer = sender(handler).send(context(hooked_plant()), Request("GET", "parts"), taken.append)
    assert (answer.body, asked) == (b"abab", ["/api/of_the_hook"])
    assert taken[-1] == 4


def test_a_failure_is_judged_by_what_the_hook_made(sender: SenderOf) -> None:
    with pytest.raises(NotThere):
        sender(lambda _: httpx.Response(200, text="no")).send(
            context(hooked_plant()), Request("GET", "parts")
        )


def test_what_a_hook_makes_is_bounded_as_what_came(sender: SenderOf) -> None:
    with pytest.raises(NeedsOperator, match="What the hook made of the answer") as caught:
        sender(lambda _: httpx.Response(200, text="x" * 600)).send(
            context(hooked_plant()), Request("GET", "parts")
        )
    assert caught.value.code == "page_too_large"


class Signing(BaseHook):
    def sign(self, request: Request, secrets: Mapping[str, str], moment: Moment) -> Request:
        signed = f"{moment.nonce}/{moment.url_of(request)}/{secrets['key']}"
        return replace(request, headers={**request.headers, "X-Proof": signed})


def test_a_hook_signs_what_is_about_to_leave_and_the_token_below_it_is_known_to_the_redactor(
    sender: SenderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANT_KEY", "planted-key")
    seen: list[Mapping[str, str]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, text="planted-session-of-the-hook" if request.method == "POST" else "{}")

    source: Any = HookedSource(Plant(Session()), LoadedHook(Signing, __file__), {})  # type: ignore[arg-type]
    sender(handler).send(context(source, secrets={"key": "env://PLANT_KEY"}), Request("GET", "parts"))
    assert "x-proof" not in seen[0]
    assert seen[1]["x-proof"].endswith("/https://plant.example.com/api/parts/planted-key")
    assert redactor.redact(seen[1]["x-token"]) == MASK
