"""Faults are set whole or not at all, and end when they were told to."""

from typing import Any

import pytest

from scheduler.embedded.demo.faults import FaultError, Faults

NOW = 1_000_000


@pytest.fixture
def faults() -> Faults:
    return Faults(7)


def test_a_fault_holds_until_it_is_cleared(faults: Faults) -> None:
    faults.set({"storm_429": 3, "empty_list": True}, NOW)
    assert [faults.take("storm_429", "sites", NOW) for _ in range(3)] == [3, 3, 3]
    faults.clear("storm_429")
    assert faults.take("storm_429", "sites", NOW) is None
    assert faults.take("empty_list", "sites", NOW) is True
    faults.clear()
    assert faults.as_json(NOW) == {}


def test_a_count_is_spent(faults: Faults) -> None:
    faults.set({"empty_list": True, "count": 2}, NOW)
    assert [faults.take("empty_list", "sites", NOW) for _ in range(3)] == [True, True, None]
    assert faults.as_json(NOW) == {}


def test_a_fault_ends_at_its_time(faults: Faults) -> None:
    faults.set({"empty_list": True, "for_seconds": 2}, NOW)
    faults.set({"auth_revoked": True, "until": "1970-01-01T00:16:41Z"}, NOW)
    assert faults.take("empty_list", None, NOW + 1999)
    assert faults.take("empty_list", None, NOW + 2000) is None
    assert faults.take("auth_revoked", None, NOW + 999)
    assert faults.take("auth_revoked", None, NOW + 1000) is None


def test_a_fault_of_one_entity_leaves_the_others_alone(faults: Faults) -> None:
    faults.set({"empty_list": True, "entity": "parts", "count": 1}, NOW)
    assert faults.take("empty_list", "sites", NOW) is None
    assert faults.take("empty_list", "parts", NOW) is True


def test_the_error_rate_is_kept_and_drawn_from_the_seed() -> None:
    def draw(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.set({"error_rate": 0.3, "error_status": 503, "error_body": "html"}, NOW)
        return [faults.take("error_rate", "sites", NOW) is not None for _ in range(2000)]

    assert draw(1) == draw(1) != draw(2)
    assert 500 < sum(draw(1)) < 700


def test_a_count_of_errors_counts_errors_not_requests(faults: Faults) -> None:
    faults.set({"error_rate": 0.5, "count": 10}, NOW)
    failures = [faults.take("error_rate", None, NOW) for _ in range(200)]
    assert sum(f is not None for f in failures) == 10


def test_a_status_alone_fails_everything(faults: Faults) -> None:
    faults.set({"error_status": 502}, NOW)
    assert faults.take("error_rate", None, NOW) == {"rate": 1.0, "status": 502, "body": "json"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"storm_429": 3, "meteor": True}, "meteor"),
        ({}, "no fault"),
        ({"count": 3}, "no fault"),
        ({"error_rate": 1.5}, "error_rate"),
        ({"error_rate": True}, "error_rate"),
        ({"error_status": 200}, "error_status"),
        ({"error_rate": 0.1, "error_body": "pdf"}, "error_body"),
        ({"latency_ms": [5, 1]}, "latency_ms"),
        ({"latency_ms": "slow"}, "latency_ms"),
        ({"storm_429": -1}, "storm_429"),
        ({"empty_list": False}, "empty_list"),
        ({"bad_record": "ugly"}, "bad_record"),
        ({"shifting_pages": {"pull": 1}}, "shifting_pages"),
        ({"empty_list": True, "entity": "ghosts"}, "ghosts"),
        ({"empty_list": True, "count": 0}, "count"),
        ({"empty_list": True, "until": "soon"}, "until"),
        ({"empty_list": True, "until": 5}, "until"),
    ],
)
def test_a_wrong_fault_is_named_and_nothing_is_set(faults: Faults, body: dict[str, Any], words: str) -> None:
    with pytest.raises(FaultError, match=words):
        faults.set(body, NOW)
    assert faults.as_json(NOW) == {}
