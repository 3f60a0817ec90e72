"""What is found at an account that answers, asked a few times: doubles stand in for accounts here."""

from datetime import UTC, datetime
from typing import Any

import pytest
from connectors.conformance.test_mutants import plain
from connectors.doubles.plain import Plain

from scheduler.connectors.check.driving.account import Account, kept_secrets
from scheduler.connectors.check.live import Live, most_requests
from scheduler.connectors.check.outcome import Outcome

pytestmark = pytest.mark.integration


def asked(stream: str, records: int = 250, **changes: Any) -> tuple[dict[str, Outcome], int]:
    """What a stream's checks come to, by their names, and how many requests that took."""
    with Plain() as double, kept_secrets(double.secrets) as secrets:
        account = Account(plain(**changes).connector, double, secrets, double.settings())
        for _ in range(records // 10):
            double.create(stream, 10)
            double.advance(200_000)
        double.now = datetime.now(UTC)
        live = Live(
            plain(**changes).manifest,
            account.source,
            lambda request, name: account.sender.send(account.context(name), request),
            double.now,
        )
        found = {outcome.check: outcome for outcome in live.outcomes([stream])}
        account.close()
        return found, len(double.log)


@pytest.mark.parametrize(
    "stream", ["by_offset", "by_page", "by_cursor", "by_link", "by_header", "by_key", "whole", "lines"]
)
def test_an_account_that_fits_is_asked_a_few_times_and_nothing_is_wrong(stream: str) -> None:
    found, requests = asked(stream)
    assert not [outcome for outcome in found.values() if outcome.mark == "failed"]
    assert found["live_page"].mark == "passed"
    assert requests <= most_requests([stream])


@pytest.mark.parametrize(
    ("check", "stream", "changes"),
    [
        ("live_page", "by_offset", {"streams__by_offset__key": "none"}),
        ("live_page", "by_offset", {"streams__by_offset__key": "deleted_at"}),
        ("live_page", "by_cursor", {"streams__by_cursor__key": "kind"}),
        ("live_next", "by_offset", {"streams__by_offset__paging__offset__param": "ofset"}),
        ("live_cursor", "by_cursor", {"streams__by_cursor__incremental__format": "epoch_s"}),
        ("live_increment", "by_cursor", {"streams__by_cursor__incremental__param": "sinse"}),
        ("live_single", "by_key", {"streams__by_key__single": {"path": "/by_page/{key}", "record": "data"}}),
    ],
)
def test_what_does_not_fit_is_seen(check: str, stream: str, changes: dict[str, Any]) -> None:
    found, _ = asked(stream, **changes)
    assert found[check].mark == "failed"
    assert found[check].expected
    assert found[check].came


def test_an_account_that_lets_nobody_in_is_asked_once_for_each_stream() -> None:
    found, requests = asked("by_cursor", auth={"header": {"secret": "token", "name": "X-Token"}})
    assert found["live_page"].mark == "failed"
    assert "live_next" not in found
    assert requests == 1
