"""Which references may somebody point a connection at?"""

from typing import Any
from uuid import UUID

import pytest

from scheduler.access.allowed import (
    all_within,
    is_prefix,
    may_point_at,
)
from scheduler.access.principal import Principal, Scope
from worker.errors import InvalidInput


def somebody(**limits: Any) -> Principal:
    return Principal(UUID(int=1), "somebody", "live", frozenset({Scope.ADMIN}), **limits)


def test_an_admin_without_limits_may_use_any() -> None:
    assert may_point_at(somebody(), "env://ANY")


@pytest.mark.parametrize("limit", [{"tenants": frozenset({"acme"})}, {"connections": frozenset({1})}])
def test_who_is_limited_may_use_none_unless_told_which(limit: dict[str, Any]) -> None:
    assert not may_point_at(somebody(**limit), "env://ANY")
    assert may_point_at(somebody(**limit, secret_prefixes=("env://ACME_",)), "env://ACME_KEY")


def test_prefixes_hold_for_who_has_no_other_limit_too() -> None:
    limited = somebody(secret_prefixes=("env://ACME_",))
    assert may_point_at(limited, "env://ACME_KEY")
    assert not may_point_at(limited, "env://OTHER")
    assert not may_point_at(somebody(secret_prefixes=()), "env://OTHER")


def test_the_command_line_may_use_any() -> None:
    assert may_point_at(None, "env://ANY")


@pytest.mark.parametrize(
    "reference",
    [
        "file:///live/../other/key",
        "file:///live/./key",
        "file://live/key",
        "env://../A",
        "hunter2",
        "FILE:///live/a",
    ],
)
def test_what_could_lead_elsewhere_is_no_reference(reference: str) -> None:
    with pytest.raises(InvalidInput):
        may_point_at(somebody(secret_prefixes=("file:///live/",)), reference)


@pytest.mark.parametrize("text", ["env://", "env://LIVE_", "file:///run/secrets/"])
def test_a_prefix_names_a_scheme_at_least(text: str) -> None:
    assert is_prefix(text)


@pytest.mark.parametrize(
    "text",
    ["", "env", "env:", "env:/", "://", "https://a/", "ENV://A", "file:///a/../b", "file:///a/./", "env://A B",
     "env://A\n", "env://A\0", "file:///%2e%2e/", "env://" + "A" * 1000],
)  # fmt: skip
def test_what_could_begin_no_reference_is_no_prefix(text: str) -> None:
    assert not is_prefix(text)


def test_a_narrower_prefix_lies_within_a_wider_one_and_not_the_other_way_round() -> None:
    assert all_within(("vault://live/",), ("vault://live/acme/",))
    assert all_within(("vault://live",), ("vault://live/acme",))
    assert not all_within(("vault://live/acme/",), ("vault://live/",))
    assert not all_within(("vault://live",), ("vault://live-",))
    assert not all_within((), ("env://",))
