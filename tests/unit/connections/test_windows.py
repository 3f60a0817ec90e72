"""Windows as people write them, and what is said to those who write them wrongly."""

from typing import Any

import pytest

from scheduler.connections.options.windows import file_windows, format_windows, parse_windows
from worker.engine.admission.opening import DAYS
from worker.errors import InvalidInput

WEEKDAYS = list(DAYS[:5])


def test_a_plants_nights_are_read_written_back_and_told() -> None:
    given = {
        "timezone": "Europe/Berlin",
        "allow": [{"days": "mon-fri", "from": "18:00", "to": "06:00"}],
        "deny": [{"days": "wed", "from": "20:00", "to": "21:30"}],
        "on_demand": False,
    }
    option = parse_windows(given)
    assert option == {
        **given,
        "allow": [{"days": WEEKDAYS, "from": "18:00", "to": "06:00"}],
        "deny": [{"days": ["wed"], "from": "20:00", "to": "21:30"}],
    }
    assert file_windows(option) == given
    assert parse_windows(file_windows(option)) == option
    told = "mon-fri 18:00-06:00, not wed 20:00-21:30, Europe/Berlin, no exceptions on demand"
    assert format_windows(option) == told


@pytest.mark.parametrize(
    ("days", "meant"),
    [
        ("mon-fri", WEEKDAYS),
        ("sat, sun", ["sat", "sun"]),
        (["mon-tue", "sun"], ["mon", "tue", "sun"]),
        ("fri-mon", ["mon", "fri", "sat", "sun"]),
        ("Wed", ["wed"]),
    ],
)
def test_days_are_named_in_several_ways(days: Any, meant: list[str]) -> None:
    assert parse_windows({"deny": [{"days": days}]})["deny"][0]["days"] == meant


def test_what_is_left_out_is_every_day_the_whole_day_and_utc() -> None:
    option = parse_windows({"deny": [{"days": "sun"}]})
    assert option["deny"] == [{"days": ["sun"], "from": "00:00", "to": "24:00"}]
    assert (option["timezone"], option["allow"], option["on_demand"]) == ("UTC", [], True)
    assert parse_windows({"allow": [{"from": "20:00"}]})["allow"][0]["days"] == list(DAYS)
    assert format_windows(option) == "not sun, UTC"


@pytest.mark.parametrize(
    ("given", "place", "words"),
    [
        ([], None, "mapping"),
        ({}, None, "allowed, or what is denied"),
        ({"alow": []}, "alow", "Did you mean 'allow'"),
        ({"allow": {}}, "allow", "list"),
        ({"allow": ["mon"]}, "allow.0", "days, from and to"),
        ({"allow": [{}]}, "allow.0", "days, from and to"),
        ({"allow": [{"day": "mon"}]}, "allow.0", "days, from and to"),
        ({"allow": [{"from": "6:00"}]}, "allow.0.from", "time of day"),
        ({"allow": [{"from": "24:00"}]}, "allow.0.from", "begins at 00:00"),
        ({"allow": [{"to": 600}]}, "allow.0.to", "time of day"),
        ({"deny": [{"days": "mon-frei"}]}, "deny.0.days", "'frei'"),
        ({"deny": [{"days": 1}]}, "deny.0.days", "names of days"),
        ({"deny": [{"days": "sun"}], "timezone": "Berlin"}, None, "Europe/Berlin"),
        ({"deny": [{"days": "sun"}], "on_demand": "yes"}, "on_demand", "true or false"),
        ({"deny": [{"days": "mon-sun"}]}, None, "never open"),
        ({"allow": [{"days": "mon"}], "deny": [{"days": "mon"}]}, None, "never open"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(given: Any, place: str | None, words: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_windows(given)
    if place is not None:
        assert raised.value.place == place
    assert words in f"{raised.value.message} {raised.value.hint}"
