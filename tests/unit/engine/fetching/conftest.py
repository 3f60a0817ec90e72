"""Who reads pages ahead: several at once, or one after the other."""

from collections.abc import Iterator

import pytest

from worker.engine.fetching.ahead import Ahead


@pytest.fixture
def ahead() -> Iterator[Ahead]:
    shared = Ahead(2, side_by_side=8)
    yield shared
    shared.close()


@pytest.fixture
def alone() -> Iterator[Ahead]:
    shared = Ahead(1, side_by_side=1)
    yield shared
    shared.close()
