"""Postgres's clock was years ahead for a while, and was put right: nothing waits until then."""

import json

import pytest
from servers.rows.ledger import Ledger

from worker.db.queries import sql

pytestmark = pytest.mark.integration

AHEAD = "now() + interval '70 years'"
NOTHING = {"streams": 0, "leases": 0, "messages": 0, "processes": 0}


def mended(ledger: Ledger) -> dict[str, int]:
    found = ledger.database.one(sql.mend_times)
    assert found is not None
    return dict(found)


def test_streams_leases_messages_and_signs_of_life_of_the_future_are_brought_back(ledger: Ledger) -> None:
    run, waits = ledger.claimed(), ledger.request(stream=ledger.other)
    ledger.database.run(f"UPDATE streams SET next_run_at = {AHEAD}")
    ledger.database.run(f"UPDATE runs SET lease_until = {AHEAD} WHERE state = 'running'")
    ledger.database.run(f"UPDATE runs SET published_at = {AHEAD} WHERE state = 'queued'")
    ledger.database.run(
        f"INSERT INTO processes (kind, name, version, seen_at) VALUES ('worker', 'a:1', '0', {AHEAD})"
    )
    assert mended(ledger) == {"streams": 2, "leases": 1, "messages": 1, "processes": 1}
    assert ledger.database.one("SELECT bool_and(next_run_at <= now()) AS due FROM streams") == {"due": True}
    assert ledger.open_run(waits.id)["published_at"] is None
    assert ledger.database.one(
        "SELECT lease_until <= now() AS lapsed FROM runs WHERE id = %(id)s", {"id": run.id}
    ) == {"lapsed": True}
    assert mended(ledger) == NOTHING


@pytest.mark.parametrize(
    ("schedule", "wait"),
    [
        ({"every": 60}, "1 hour"),  # it failed again and again
        ({"every": 86400 * 7, "at": "02:00"}, "7 days"),
        ({"every": 86400 * 7, "at": "02:00"}, "14 days"),  # the zone had no such day
        ({"every": 1e300}, "1 year"),
    ],
)
def test_a_point_that_a_schedule_may_have_is_left_alone(
    ledger: Ledger, schedule: dict[str, object], wait: str
) -> None:
    ledger.database.run(
        "UPDATE streams SET schedule = %(schedule)s, next_run_at = now() + %(wait)s::interval",
        {"schedule": json.dumps(schedule), "wait": wait},
    )
    ledger.claimed()
    assert mended(ledger) == NOTHING


def test_a_schedule_that_cannot_be_read_keeps_no_other_from_it(ledger: Ledger) -> None:
    ledger.database.run(f"""UPDATE streams SET schedule = '{{"every": "often"}}', next_run_at = {AHEAD}""")
    assert mended(ledger)["streams"] == 2
