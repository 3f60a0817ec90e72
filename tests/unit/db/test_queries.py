"""Named statements."""

import re
from pathlib import Path

import pytest

from worker.db.queries import Queries, sql


def test_a_statement_is_found_by_its_name_with_its_why() -> None:
    found = Queries("-- A file.\n\n-- name: one\n-- Because.\nSELECT 1;\n\n-- name: two\nSELECT 2;\n")
    assert found.one == "-- Because.\nSELECT 1;"
    assert found.two == "SELECT 2;"


def test_a_wrong_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no statement named three"):
        _ = sql.three


def test_no_statement_is_left_over_and_none_is_missing() -> None:
    code = "\n".join(
        path.read_text() for folder in ("worker", "scheduler") for path in Path(folder).rglob("*.py")
    )
    used = set(re.findall(r"\bsql\.([a-z_]+)\b", code))
    assert set(dir(sql)) <= used
