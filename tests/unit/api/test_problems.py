"""How does the API say no?"""

import pytest
from fastapi import Request

from scheduler.api.problems import Unauthorized, answer_to, status_of
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


def test_who_has_shown_no_token_reads_nothing_of_our_servers() -> None:
    away = Transient("database_unavailable", "Postgres can't be used now: 10.0.0.5 refused user headrace.")
    answer = answer_to(Request({"type": "http", "headers": []}), away)
    assert answer.status_code == 503
    assert b"10.0.0.5" not in answer.body
    assert b"Postgres can't be used now." in answer.body
