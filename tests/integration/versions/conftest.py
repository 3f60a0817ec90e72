"""A system whose manifest is edited under a connection to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.systems.versioned import Plant, running_plant


@pytest.fixture
def ours(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Plant]:
    with running_plant(database_url, broker_url, tmp_path / "systems") as plant:
        yield plant
