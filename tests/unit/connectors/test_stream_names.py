"""What was found at a system gets a name that a stream can have."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.describing.names import stream_name

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("orders", "orders"),
        ("A_MaintenanceOrder", "a_maintenance_order"),
        ("HTTPRequests", "http_requests"),
        ("party.party-lang", "party_party_lang"),
        ("2024", "s_2024"),
        ("Aufträge", "auftr_ge"),
        ("注文", "s"),
    ],
)
def test_the_systems_word_becomes_a_name(word: str, name: str) -> None:
    assert stream_name(word) == name


@given(st.text(max_size=90), st.integers(0, 3))
def test_any_word_becomes_a_name_that_is_not_taken(word: str, others: int) -> None:
    taken: list[str] = []
    for _ in range(others + 1):
        name = stream_name(word, taken)
        assert NAME.match(name)
        assert name not in taken
        taken.append(name)
