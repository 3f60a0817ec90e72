"""What goes to a system goes nowhere else: by no redirect, to no other host, with nobody else's cookies."""

import httpx
import pytest
from servers.systems.sending import PASSWORD, BasicWithLogin, Budget, Plant, SenderOf, context

from worker.connectors.contract import Request
from worker.errors import NeedsOperator


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["https://evil.example.com/", "/api/elsewhere", "http://169.254.169.254/"])
def test_a_redirect_is_not_followed_by_a_request_or_a_log_in(
    sender: SenderOf, monkeypatch: pytest.MonkeyPatch, status: int, to: str
) -> None:
    """So no header, cookie, key in a query or body that proves who we are reaches anybody else."""
    monkeypatch.setenv("PLANT_PASSWORD", PASSWORD)
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(status, headers={"location": to, "set-cookie": "a=b"}, text="not-a-token")

    sends = sender(handler)
    assert sends.send(context(), Request("GET", "assets", [("key", "planted")])).status == status
    logs_in = context(Plant(BasicWithLogin()), secrets={"password": "env://PLANT_PASSWORD"})
    sends.send(logs_in, Request("GET", "assets"))
    assert asked == ["plant.example.com"] * 3, "the request; a log-in and the request that it was for"


def test_nothing_goes_to_another_host(sender: SenderOf, budget: Budget) -> None:
    with pytest.raises(NeedsOperator) as caught:
        sender(lambda _: httpx.Response(200)).send(context(), Request("GET", "https://evil.example.com/"))

    assert caught.value.code == "elsewhere"
    assert budget.taken == []


def test_cookies_of_one_account_never_reach_another(sender: SenderOf) -> None:
    seen: list[str | None] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "sid=of-the-first; Path=/"})

    sends = sender(handler)
    first = sends.send(context(connection_id=1), Request("GET", "assets"))
    sends.send(context(connection_id=2), Request("GET", "assets"))

    assert seen == [None, None]
    assert first.headers["set-cookie"] == "sid=of-the-first; Path=/"
