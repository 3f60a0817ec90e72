"""Whose a name is."""

import pytest

from scheduler.connections.editing.rights import is_named_after


@pytest.mark.parametrize("word", ["acme", "Acme North", "ACME-north", "acme/1", "acme: x"])
def test_what_begins_with_a_tenant_is_named_after_it(word: str) -> None:
    assert is_named_after("acme", word)


@pytest.mark.parametrize("word", ["acmeshop", "acme2", "brick", "the acme", "acm", ""])
def test_what_only_looks_like_it_is_not(word: str) -> None:
    assert not is_named_after("acme", word)
