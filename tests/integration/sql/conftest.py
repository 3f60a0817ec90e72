"""A Postgres as a source."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from servers.systems.databases import Read, Reading, source_at

from worker.sql.pool import process


@pytest.fixture
def source(empty_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Whoever works with the database."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        yield connection
    process().pool.close()


@pytest.fixture
def reads(empty_database_url: str) -> Read:
    """Who reads these streams of it."""

    def made(streams: dict[str, Any], *, given: dict[str, Any] | None = None, **settings: Any) -> Reading:
        return Reading(source_at(empty_database_url, streams, **settings), **(given or {}))

    return made
