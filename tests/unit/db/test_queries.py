"""Named statements."""

import re
from pathlib import Path

import pytest
from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH

from worker.db.queries import Queries, sql


def test_a_statement_is_found_by_its_name() -> None:
    found = Queries("-- A file.\n\n-- name: one\n-- Because.\nSELECT 1;\n\n-- name: two\nSELECT 2;\n")
    assert found.one == "SELECT 1;"
    assert found.two == "SELECT 2;"


def test_what_is_for_readers_is_not_sent() -> None:
    found = Queries("-- name: one\n-- Because.\n  SELECT a,  -- this\n    -- and\n         b;\n")
    assert found.one == "SELECT a,  -- this\nb;"


@pytest.mark.parametrize("name", dir(sql))
def test_statements_are_short_enough_for_psycopg_to_remember_their_parameters(name: str) -> None:
    assert len(getattr(sql, name)) <= MAX_CACHED_STATEMENT_LENGTH


def test_a_wrong_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no statement named three"):
        _ = sql.three


def test_no_statement_is_left_over_and_none_is_missing() -> None:
    code = "\n".join(
        path.read_text() for folder in ("worker", "scheduler") for path in Path(folder).rglob("*.py")
    )
    used = set(re.findall(r"\b(?:sql|shared)\.([a-z_]+)\b", code)) | set(re.findall(r"\"([a-z_]+)\"", code))
    assert set(dir(sql)) <= used
