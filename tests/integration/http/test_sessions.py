"""Sessions, signatures and tokens against forgery as a manifest describes them, at a real server, by several threads at once."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from servers.systems.sessions import CSRF, LOGIN, PASSWORD, SIGN, Sessions, sessions_system, source_with
from structlog.testing import capture_logs

from tests.bench.cases.request import _NoBudget
from worker.connectors.contract import Request, Response
from worker.errors import NeedsOperator
from worker.http import CallContext, Sender
from worker.http.wire.process import close_shared_wire
from worker.telemetry.redaction import MASK, redactor
from worker.telemetry.steps import Steps

pytestmark = pytest.mark.integration

PARTS, ORDER = Request("GET", "parts"), Request("POST", "orders", body=b"{}")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sessions]:
    monkeypatch.setenv("SESSIONS_PASSWORD", PASSWORD)
    with sessions_system() as running:
        yield running
    close_shared_wire()


@pytest.fixture
def sender() -> Iterator[Sender]:
    sender = Sender(_NoBudget(), timeout=5, max_bytes=100_000)
    yield sender
    sender.close()


def asking(
    sender: Sender, auth: Mapping[str, Any], base_url: str, **settings: str
) -> Callable[[Request], Response]:
    source = source_with(auth, base_url)
    secrets = {"password": "env://SESSIONS_PASSWORD"}

    def ask(request: Request) -> Response:
        ctx = CallContext(1, "acme", 3, source, secrets, "req-1", Steps(), settings=settings)
        return sender.send(ctx, request)

    return ask


def at_once(ask: Callable[[Request], Response], request: Request, threads: int = 4) -> list[int]:
    together = Barrier(threads)

    def run(_number: int) -> int:
        together.wait(5)
        return ask(request).status

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def test_one_thread_logs_in_for_all_and_again_when_the_session_is_forgotten(
    system: Sessions, sender: Sender
) -> None:
    ask = asking(sender, LOGIN, f"{system.url}/api")
    assert at_once(ask, PARTS) == [200] * 4
    assert (system.logins, len(system.open)) == (1, 1)
    assert redactor.redact("a planted-session-0001 in words") == f"a {MASK} in words"
    system.forget()
    assert at_once(ask, PARTS) == [200] * 4
    assert (system.logins, system.logouts) == (2, 0)


def test_a_session_that_has_come_to_its_end_is_given_back_before_the_next_one_is_opened(
    system: Sessions, sender: Sender
) -> None:
    """The licence allows one: whoever forgets to log out is let in no more."""
    system.timeout = 0.001
    ask = asking(sender, LOGIN, f"{system.url}/api")
    assert [ask(PARTS).status for _ in range(3)] == [200] * 3
    assert (system.logins, system.logouts, len(system.open)) == (3, 2, 1)


def test_a_session_is_given_back_before_one_is_opened_by_other_settings(
    system: Sessions, sender: Sender
) -> None:
    base_url = f"{system.url}/api"
    assert asking(sender, LOGIN, base_url)(PARTS).status == 200
    assert asking(sender, LOGIN, base_url, company="another")(PARTS).status == 200
    assert (system.logins, system.logouts, len(system.open)) == (2, 1, 1)


def test_whoever_ends_in_order_leaves_no_session_behind(system: Sessions) -> None:
    sender = Sender(_NoBudget(), timeout=5, max_bytes=100_000)
    ask = asking(sender, LOGIN, f"{system.url}/api")
    ask(PARTS)
    sender.close()
    assert (system.logins, system.logouts, system.open) == (1, 1, set())


def test_a_licence_without_a_session_left_is_told_in_the_system_s_words(
    system: Sessions, sender: Sender
) -> None:
    system.licence = 0
    with pytest.raises(NeedsOperator, match="it answers 403: The licence allows no more sessions"):
        asking(sender, LOGIN, f"{system.url}/api")(PARTS)


def test_a_token_against_forgery_is_fetched_once_for_all_and_again_when_it_is_refused(
    system: Sessions, sender: Sender
) -> None:
    ask = asking(sender, CSRF, f"{system.url}/odata")
    assert at_once(ask, ORDER) == [201] * 4
    assert (system.tokens, system.written) == (1, 4)
    system.forget()
    assert at_once(ask, ORDER) == [201] * 4
    assert (system.tokens, system.written) == (2, 8)


def test_what_is_signed_is_what_is_sent_to_the_byte_and_no_log_shows_it(
    system: Sessions, sender: Sender
) -> None:
    ask = asking(sender, SIGN, system.url)
    with capture_logs() as logs:
        answer = ask(Request("GET", "signed", [("q", "ä=&+ /~"), ("empty", "")]))
    assert answer.status == 200
    assert "&why=a%20b%2Bc%2Fd" in answer.url
    assert PASSWORD not in repr(logs)
