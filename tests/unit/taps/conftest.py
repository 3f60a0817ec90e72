from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.taps.plant import Plant


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    plant = Plant(tmp_path)
    yield plant
    plant.carrier.close()
