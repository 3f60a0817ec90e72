from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.taps.bench import TapBench, tap_bench


@pytest.fixture
def taps(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[TapBench]:
    with tap_bench(database_url, broker_url, tmp_path) as made:
        yield made
