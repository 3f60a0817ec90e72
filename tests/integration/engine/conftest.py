"""The works: a mill whose records lie in the past, and a connection to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.systems.mill import Works, running_works


@pytest.fixture
def works(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Works]:
    with running_works(database_url, broker_url, tmp_path) as found:
        yield found
