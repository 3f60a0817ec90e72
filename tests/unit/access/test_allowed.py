"""Which references may somebody point a connection at?"""

from typing import Any
from uuid import UUID

import pytest

from scheduler.access.allowed import (
    NotAllowed,
    all_within,
    is_prefix,
    may_point_at,
    refused_secrets,
    require_secrets,
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


BEFORE = {
    "system": "demo",
    "environment": "live",
    "settings": {"url": "https://erp.example"},
    "network": {},
    "secrets": {"token": "env://THEIRS"},
}
EDITOR = somebody(secret_prefixes=("env://MINE_",))


def test_what_goes_where_it_went_before_may_stay() -> None:
    assert refused_secrets(EDITOR, BEFORE, BEFORE | {"labels": {"a": "b"}}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"url": "https://evil.example"}},
        {"network": {"proxy": "http://evil.example"}},
        {"system": "other"},
        {"secrets": {"token": "env://OTHERS"}},
        {"secrets": {"token": "env://THEIRS", "more": "env://THEIRS"}},
    ],
)
def test_anothers_secret_is_sent_nowhere_else(change: dict[str, Any]) -> None:
    """The secret stays where it is, the host changes: that would send it to a host of their own."""
    with pytest.raises(NotAllowed) as caught:
        require_secrets(EDITOR, BEFORE, BEFORE | change)
    assert "THEIRS" not in str(caught.value)
    assert "env://MINE_" in str(caught.value)


def test_ones_own_secret_may_be_sent_anywhere() -> None:
    after = BEFORE | {"settings": {"url": "https://new.example"}, "secrets": {"token": "env://MINE_A"}}
    assert refused_secrets(EDITOR, BEFORE, after) == []
    assert refused_secrets(EDITOR, None, after) == []


def test_a_new_connection_may_use_ones_own_alone() -> None:
    assert refused_secrets(EDITOR, None, BEFORE) == ["token"]


@pytest.mark.parametrize("text", ["env://", "env://LIVE_", "file:///run/secrets/", "vault+test://"])
def test_a_prefix_names_a_scheme_at_least(text: str) -> None:
    assert is_prefix(text)


@pytest.mark.parametrize(
    "text",
    ["", "env", "env:", "env:/", "://", "https://a/", "ENV://A", "file:///a/../b", "file:///a/./", "env://A B",
     "env://A\n", "env://A\0", "file:///%2e%2e/", "env://" + "A" * 1000, "env+test://"],
)  # fmt: skip
def test_what_could_begin_no_reference_is_no_prefix(text: str) -> None:
    assert not is_prefix(text)


def test_a_narrower_prefix_lies_within_a_wider_one_and_not_the_other_way_round() -> None:
    assert all_within(("vault://live/",), ("vault://live/acme/",))
    assert all_within(("vault://live",), ("vault://live/acme",))
    assert not all_within(("vault://live/acme/",), ("vault://live/",))
    assert not all_within(("vault://live",), ("vault://live-",))
    assert not all_within((), ("env://",))
