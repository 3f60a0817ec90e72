"""What `headrace connections show` says of a plant's windows."""

from datetime import UTC, datetime, timedelta
from typing import Any

from scheduler.cli.commands.connections import _open, _windows
from scheduler.connections.options.windows import parse_windows


def stream(name: str, windows: dict[str, Any] | None) -> dict[str, Any]:
    return {"name": name, "options": {} if windows is None else {"windows": parse_windows(windows)}}


def around_now(hours: int) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"from": f"{now - timedelta(hours=1):%H}:00", "to": f"{now + timedelta(hours=hours):%H}:00"}


def test_windows_of_all_streams_are_told_once_with_what_they_are_now() -> None:
    told = _windows([stream(name, {"allow": [around_now(3)]}) for name in ("a", "b")])
    assert list(told) == ["windows"]
    assert "UTC (open, closes in 2h" in told["windows"]


def test_windows_that_differ_are_told_by_stream() -> None:
    told = _windows([stream("a", {"deny": [around_now(3)]}), stream("b", None)])
    assert list(told) == ["windows of a"]
    assert "UTC (closed, opens in 2h" in told["windows of a"]
    assert _windows([stream("b", None)]) == {}


def test_a_run_that_waits_says_for_what() -> None:
    assert _open({"open_state": "queued", "wait_reason": "window"}) == "queued (window)"
    assert _open({"open_state": "running", "wait_reason": None}) == "running"
    assert _open({"open_state": None, "wait_reason": None}) == ""
