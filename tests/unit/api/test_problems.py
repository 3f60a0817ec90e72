"""How does the API say no?"""

import pytest

from scheduler.api.problems import Unauthorized, status_of
from scheduler.runs.syncs import Refused
from worker.errors import HeadraceError, InvalidInput, NeedsOperator, NotFound, Transient


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unauthorized(), 401),
        (NotFound("unknown_run", "No."), 404),
        (Refused("connection_paused", "No."), 409),
        (InvalidInput("ambiguous_connection", "Two."), 409),
        (InvalidInput("bad_value", "No."), 422),
        (Transient("database_unavailable", "Away."), 503),
        (NeedsOperator("schema_behind", "Old."), 500),
    ],
)
def test_every_kind_of_error_has_its_status(error: HeadraceError, status: int) -> None:
    assert status_of(error) == status
