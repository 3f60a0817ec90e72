"""What people write about time in the connections file, what stands on the row, and back."""

from typing import Any

import pytest

from scheduler.connections.options.schedule import (
    file_schedule,
    format_history,
    format_schedule,
    parse_history,
    parse_schedule,
)
from worker.errors import InvalidInput

BERLIN = {"every": "1d", "at": "02:00", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("written", "row", "words"),
    [
        ({"every": "15m"}, {"every": 900}, "every 15m"),
        ({"every": "1m"}, {"every": 60}, "every 1m"),
        ({"every": "7d"}, {"every": 604800}, "every 7d"),
        (BERLIN, {**BERLIN, "every": 86400}, "every 1d at 02:00 Europe/Berlin"),
        (
            {"every": "2d", "at": "23:59"},
            {"every": 172800, "at": "23:59", "timezone": "UTC"},
            "every 2d at 23:59 UTC",
        ),
    ],
)
def test_a_schedule_is_read_and_told_and_written_back(
    written: dict[str, Any], row: dict[str, Any], words: str
) -> None:
    assert parse_schedule(written) == row
    assert format_schedule(row) == words
    assert parse_schedule(file_schedule(row)) == row


@pytest.mark.parametrize(
    ("written", "place", "says"),
    [
        ({"every": "59s"}, "every", "1m"),
        ({"every": "8d"}, "every", "7d"),
        ({"every": "15"}, "every", "duration"),
        ({"every": 15}, "every", "duration"),
        ({}, "every", "duration"),
        ({"every": "6h", "at": "02:00"}, "every", "whole days"),
        ({"every": "1d12h", "at": "02:00"}, "every", "whole days"),
        ({"every": "1d", "at": "24:00"}, "at", "time of day"),
        ({"every": "1d", "at": "2:00"}, "at", "time of day"),
        ({"every": "1d", "at": 7200}, "at", "time of day"),
        ({"every": "1d", "at": "02:00\n"}, "at", "time of day"),
        ({"every": "1d", "timezone": "Europe/Berlin"}, "timezone", "time of day"),
        ({**BERLIN, "timezone": "Europe/Berln"}, "timezone", "'Europe/Berlin'"),
        ({**BERLIN, "timezone": "berlin"}, "timezone", "'Europe/Berlin'"),
        ({**BERLIN, "timezone": "new york"}, "timezone", "'America/New_York'"),
        ({**BERLIN, "timezone": "../../etc/passwd"}, "timezone", "time zone"),
    ],
)
def test_a_wrong_schedule_names_its_key_and_what_to_write(
    written: dict[str, Any], place: str, says: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_schedule(written)
    assert caught.value.place == place
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("written", "days"), [("90d", 90), ("2w", 14), ("1w1d", 8), ("24h", 1), ("all", None)]
)
def test_a_history_is_days_or_everything(written: str, days: int | None) -> None:
    assert parse_history(written) == days
    assert parse_history(format_history(days)) == days


@pytest.mark.parametrize("written", ["0d", "90", 90, "36h", "99999d", "everything", "", None, True])
def test_a_wrong_history_is_refused(written: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_history(written)
    assert caught.value.code == "bad_history"
    assert "90d" in str(caught.value)
