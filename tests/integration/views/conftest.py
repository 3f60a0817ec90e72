"""Fixtures of the views."""

from collections.abc import Iterator

import pytest
from integration.views.viewed import Viewed

from worker.db.database import Database


@pytest.fixture
def viewed(database_url: str) -> Iterator[Viewed]:
    """A plant without records."""
    database = Database(database_url, name="tests", pool=2)
    found = Viewed(database)
    found.connect()
    yield found
    database.close()
