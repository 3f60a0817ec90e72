"""What should the owner of a token know in time?"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.access.issuing.lifetime import state_of, warnings_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def token(*, age: float = 1, ends: float | None = None, **more: Any) -> dict[str, Any]:
    """Days."""
    row = {"created_at": NOW - timedelta(days=age), "revoked_at": None, "successor": None}
    return row | {"expires_at": None if ends is None else NOW + timedelta(days=ends)} | more


@pytest.mark.parametrize(
    ("row", "codes"),
    [
        (token(), []),
        (token(age=89.9), []),
        (token(age=90), ["not_rotated"]),
        (token(ends=14.1, age=20), []),
        (token(ends=14, age=20), ["expires_soon"]),
        (token(ends=3, age=100), ["expires_soon", "not_rotated"]),
        (token(ends=-1, age=100), []),
        (token(age=100, revoked_at=NOW), []),
        (token(ends=1, age=100, successor="x"), ["replaced"]),
    ],
)
def test_what_ends_soon_or_is_old_is_told(row: dict[str, Any], codes: list[str]) -> None:
    assert [warning.code for warning in warnings_of(row, NOW)] == codes


def test_a_token_for_a_week_is_not_said_to_end_soon_from_the_first_day() -> None:
    assert warnings_of(token(age=1, ends=6), NOW) == []
    assert warnings_of(token(age=4, ends=3), NOW) != []


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (token(), "valid"),
        (token(ends=1), "valid"),
        (token(ends=0), "expired"),
        (token(ends=1, successor="x"), "replaced"),
        (token(ends=0, successor="x"), "expired"),
        (token(ends=1, successor="x", revoked_at=NOW), "revoked"),
    ],
)
def test_a_token_is_in_one_state(row: dict[str, Any], state: str) -> None:
    assert state_of(row, NOW) == state


def test_a_warning_fits_into_a_header() -> None:
    for row in (token(age=100, ends=3), token(ends=1 / 1440, age=1, successor="x")):
        assert all(
            warning.words.isascii() and warning.words.isprintable() for warning in warnings_of(row, NOW)
        )
