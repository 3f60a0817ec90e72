"""Nothing changes or deletes what the audit log holds, until its time has come; then it goes whole."""

from datetime import date, timedelta
from uuid import UUID

import psycopg
import pytest

from scheduler.access.audit import COMMAND_LINE, note_act
from scheduler.beat.upkeep.partitions import AHEAD, Kept, first_id, keep_partitions, name_of
from worker.db.database import Database

pytestmark = pytest.mark.integration

AUDIT = Kept("audit", 365, sealed=True)


def act(database: Database) -> None:
    with database.transaction() as tx:
        note_act(tx, COMMAND_LINE, "token.create", "t")


def acted(database: Database, day: date) -> None:
    """An act of that day, which was noted then."""
    number = UUID(int=first_id(day).int + (7 << 76) + 1)
    database.run(
        "INSERT INTO audit (id, at, actor, action, target) VALUES (%(id)s, %(at)s, 'a', 'b', 'c')",
        {"id": number, "at": day},
    )


def today(database: Database) -> date:
    row = database.one("SELECT (now() AT TIME ZONE 'UTC')::date AS today")
    assert row is not None
    found: date = row["today"]
    return found


def days_noted(database: Database) -> list[date]:
    return [row["day"] for row in database.all("SELECT at::date AS day FROM audit ORDER BY id")]


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'somebody else'",
        "UPDATE audit SET detail = NULL WHERE actor = 'cli'",
        "DELETE FROM audit",
        "DELETE FROM {part}",
        "UPDATE {part} SET at = now()",
        "TRUNCATE audit",
        "TRUNCATE {part}",
        "TRUNCATE audit_default",
        "TRUNCATE tokens, audit CASCADE",
    ],
)
def test_what_was_noted_stays_as_it_is(database: Database, statement: str, *, partitioned: bool) -> None:
    if partitioned:
        keep_partitions(database, [AUDIT])
    act(database)
    part = name_of("audit", today(database)) if partitioned else "audit_default"
    with pytest.raises(psycopg.DatabaseError, match="never changed"):
        database.run(statement.format(part=part))
    assert len(days_noted(database)) == 1


def test_an_act_that_fails_leaves_no_line(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as tx:
            note_act(tx, COMMAND_LINE, "token.create", "t")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert days_noted(database) == []


def test_days_are_made_ahead_and_go_whole_when_their_time_has_come(database: Database) -> None:
    now = today(database)
    keep_partitions(database, [AUDIT])
    act(database)
    rows = database.all(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'audit'::regclass"
    )
    wanted = {name_of("audit", now + timedelta(days=n)) for n in range(AHEAD + 1)}
    assert {row["name"] for row in rows} == {*wanted, "audit_default"}
    old = now - timedelta(days=400)
    name, bounds = name_of("audit", old), (AUDIT.bound(old), AUDIT.bound(AUDIT.after(old)))
    database.run(f"CREATE TABLE {name} PARTITION OF audit FOR VALUES FROM ('{bounds[0]}') TO ('{bounds[1]}')")
    acted(database, old)
    keep_partitions(database, [AUDIT])
    assert days_noted(database) == [now]


def test_what_the_default_holds_goes_when_the_last_of_it_may(database: Database) -> None:
    """No beat had run for long: nothing that is kept goes early, and nothing that isn't stays for ever."""
    now = today(database)
    keep_partitions(database, [AUDIT])
    old, older = now - timedelta(days=367), now - timedelta(days=400)
    acted(database, older)
    acted(database, old)
    acted(database, now - timedelta(days=300))
    keep_partitions(database, [AUDIT])
    assert len(days_noted(database)) == 3
    keep_partitions(database, [Kept("audit", 299, sealed=True)])
    assert days_noted(database) == []
    act(database)
    acted(database, old)
    with pytest.raises(psycopg.DatabaseError, match="never changed"):
        database.run("TRUNCATE audit_default")
