"""A stream of the works whose records are in the copy, and events of it."""

import pytest
from servers.rows.events import Events
from servers.systems.mill import Works, past


@pytest.fixture
def stream(works: Works) -> int:
    """Thirty records, all in the copy."""
    past(works, 30, days=30)
    found = works.stream()
    works.live(found)
    works.finish(found)
    works.mill.paths.clear()
    return found


@pytest.fixture
def events(works: Works, stream: int) -> Events:
    return Events(works.services.database, stream)
