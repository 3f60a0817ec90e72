"""Does a reference begin as it must? A prefix must not be fooled by a name that only looks like it."""

import pytest

from worker.secrets.reference import Reference, covers, is_within


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        ("vault://live/", "vault://live/a#b"),
        ("vault://live", "vault://live/a#b"),
        ("vault://live/a", "vault://live/a#b"),
        ("vault://live/a", "vault://live/a?version=3"),
        ("vault://live/a#b", "vault://live/a#b"),
        ("env://LIVE_", "env://LIVE_TOKEN"),
        ("env://TOKEN", "env://TOKEN"),
        ("env://", "env://ANY"),
        ("aws-sm://prod-", "aws-sm://prod-erp"),
        ("azure-kv://Vault/", "azure-kv://vault/name"),
    ],
)
def test_what_begins_so_lies_within(prefix: str, text: str) -> None:
    assert covers(prefix, text)


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        ("vault://live/", "vault://live-evil/a#b"),
        ("vault://live", "vault://live-evil/a#b"),
        ("vault://live", "vault://livid/a#b"),
        ("vault://live/a", "vault://live/ab#c"),
        ("vault://live/a#b", "vault://live/a#bc"),
        ("vault://live/", "vault://LIVE/a"),
        ("vault://live/", "vault://live"),
        ("env://LIVE", "env://LIVELY"),
        ("env://LIVE_", "file:///LIVE_"),
        ("env://LIVE_", "ENV://LIVE_A"),
        ("file:///run/live/", "file:///run/live.old/a"),
    ],
)
def test_what_only_looks_like_it_does_not(prefix: str, text: str) -> None:
    assert not covers(prefix, text)


def test_no_prefix_lets_nothing_in() -> None:
    assert not is_within(Reference("env", "A"), ())
