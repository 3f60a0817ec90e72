"""What a manifest may say about how fast a system may be asked, and complaints that lead to the line."""

from pathlib import Path

import pytest

from worker.connectors.manifest.model import load_manifest
from worker.errors import InvalidInput
from worker.limits.headers import LimitHeaders
from worker.limits.policy import Limits, Rule

BASE = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: "https://shop.example.com"
streams:
  parts: {path: /parts, records: data, key: id}
"""


def manifest(folder: Path, limits: str) -> Path:
    path = folder / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(BASE + limits)
    return path


def limits_of(folder: Path, limits: str) -> Limits:
    return load_manifest(manifest(folder, limits)).limits


def test_one_limit_is_said_as_ever(tmp_path: Path) -> None:
    found = limits_of(tmp_path, "limits: {requests: 600, per: 1m, burst: 20, concurrency: 4}\n")
    assert found == Limits(requests=600, per=60.0, burst=20, concurrency=4)


def test_nothing_said_is_no_limit(tmp_path: Path) -> None:
    assert limits_of(tmp_path, "") == Limits()


def test_several_windows_hold_at_once_and_only_the_shortest_sets_the_pace(tmp_path: Path) -> None:
    found = limits_of(
        tmp_path,
        """\
limits:
  - {requests: 10, per: 1s}
  - {requests: 600, per: 1m}
  - {requests: 4000, per: 1h, burst: 100}
  - {requests: 5, per: 1m, methods: [POST]}
""",
    )
    assert found == Limits(
        rules=(
            Rule(requests=10, per=1.0, burst=1),
            Rule(requests=600, per=60.0, burst=600),
            Rule(requests=4000, per=3600.0, burst=100),
            Rule(requests=5, per=60.0, burst=1, methods=("POST",)),
        )
    )


def test_quotas_slots_and_who_is_counted(tmp_path: Path) -> None:
    found = limits_of(
        tmp_path,
        """\
limits:
  - {quota: 10000, per: day, resets: "06:00", timezone: Europe/Berlin}
  - {quota: 200000, per: month}
  - {concurrency: 5, of: connection}
  - {requests: 1, per: 10s, streams: [parts], paths: ["/meters/*/readings"]}
""",
    )
    assert found.rules == (
        Rule(quota=10_000, resets="06:00", timezone="Europe/Berlin"),
        Rule(quota=200_000, period="month"),
        Rule(concurrency=5, of="connection"),
        Rule(requests=1, per=10.0, streams=("parts",), paths=("/meters/*/readings",)),
    )


@pytest.mark.parametrize(
    ("limits", "line", "said"),
    [
        ("limits:\n  - {requests: 5, per: day}", 9, "say quota"),
        ("limits:\n  - {requests: 5}\n  - {quota: 5, per: 1h}", 10, "per day or per month"),
        ("limits: {requests: 5, quota: 10}", 8, "two limits"),
        ("limits:\n  - {of: connection}", 9, "limits nothing"),
        ("limits: {burst: 5}", 8, "limits nothing"),
        ("limits: {concurrency: 2, burst: 5}", 8, "A burst is of requests"),
        ("limits: {requests: 5, per: 1m, resets: '06:00'}", 8, "Only a quota"),
        ("limits: {quota: 5, timezone: Mars/Olympus}", 8, "no time zone"),
        ("limits: {quota: 5, resets: noon}", 8, "resets"),
        ("limits: {requests: 5, per: 0s}", 8, "can't be empty"),
        ("limits:\n  - {requests: 5, streams: [part]}", 9, "parts"),
        ("limits:\n  - {requests: 5, path: [/x]}", 9, "paths"),
        ("limits:\n  - {requests: 5, methods: [get]}", 9, "GET"),
        ("limits: []", 8, "limits"),
        ("limits:\n  - 5", 9, "limits"),
        ("limits: {requests: 0}", 8, "requests"),
    ],
)
def test_a_limit_that_makes_no_sense_is_told_with_its_line(
    tmp_path: Path, limits: str, line: int, said: str
) -> None:
    path = manifest(tmp_path, limits + "\n")
    with pytest.raises(InvalidInput, match=said) as caught:
        load_manifest(path)
    assert caught.value.place == f"{path}:{line}"


def test_headers_of_its_own_are_named_beside_the_limits(tmp_path: Path) -> None:
    found = limits_of(
        tmp_path,
        "limits: {requests: 5}\nlimit_headers: {remaining: X-Left, reset: X-Until, unit: ms, per: 1m}\n",
    )
    assert found == Limits(requests=5, headers=LimitHeaders("x-left", None, "x-until", "ms", 60.0))


def test_a_unit_without_its_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"manifest\.yaml:8: unit says how reset is counted"):
        limits_of(tmp_path, "limit_headers: {remaining: X-Left, unit: ms}\n")


def test_a_wait_that_any_answer_asks_for_has_a_header_of_its_own(tmp_path: Path) -> None:
    found = limits_of(tmp_path, "limit_headers: {wait: Backoff, wait_unit: ms}\n")
    assert found.headers == LimitHeaders(wait="backoff", wait_unit="ms")


def test_a_unit_of_a_wait_without_its_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"wait_unit says how wait is counted"):
        load_manifest(manifest(tmp_path, "limit_headers: {remaining: X-Left, wait_unit: ms}\n"))
