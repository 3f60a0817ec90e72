"""A beat that stopped is noticed by the others and by whoever asks, and one that was replaced is not missed."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from scheduler.beat.others import SILENT_AFTER, Others, note_round, silent_beats
from scheduler.health.looks import look_at_beat, who_is_alive
from worker.db.database import Database
from worker.runs.alive import Alive, process_name

pytestmark = pytest.mark.integration

OVERDUE = SILENT_AFTER + 5


def beat(
    database: Database, name: str, *, ticked: float | None, seen: float = 0.0, started: float = 3600.0
) -> None:
    """A beat that was started, last seen, and last went through a round, so many seconds ago."""
    database.run(
        "INSERT INTO processes (kind, name, version, started_at, seen_at, ticked_at)"
        " VALUES ('beat', %(name)s, '1', now() - make_interval(secs => %(started)s),"
        "         now() - make_interval(secs => %(seen)s), now() - make_interval(secs => %(ticked)s))",
        {"name": name, "ticked": ticked, "seen": seen, "started": started},
    )


def finding(database: Database) -> Any:
    return look_at_beat(who_is_alive(database), silent_beats(database))


def names(database: Database) -> list[str]:
    return [row["name"] for row in silent_beats(database)]


def test_a_beat_that_is_there_without_going_on_is_silent(database: Database) -> None:
    beat(database, "hangs:1", ticked=OVERDUE)
    beat(database, "works:2", ticked=1)
    assert names(database) == ["hangs:1"]
    found = finding(database)
    assert (found.level, found.words) == ("warn", "1 at work, and silent: hangs:1 (35s).")


def test_where_no_other_is_left_it_fails_and_says_what_to_do(database: Database) -> None:
    beat(database, "hangs:1", ticked=OVERDUE)
    found = finding(database)
    assert found.level == "fail"
    assert "hangs:1" in found.words
    assert "Restart" in found.hint


def test_a_beat_that_died_is_missed_for_a_while_and_not_for_ever(database: Database) -> None:
    beat(database, "dead:1", ticked=300, seen=300)
    beat(database, "taken-away:2", ticked=3600, seen=3600)
    assert names(database) == ["dead:1"]


def test_one_that_came_back_under_its_name_is_not_missed(database: Database) -> None:
    beat(database, "container:1", ticked=OVERDUE, seen=OVERDUE)
    beat(database, "container:1", ticked=1, started=20)
    assert names(database) == []
    assert finding(database).level == "ok"


def test_a_beat_of_a_version_that_notes_no_rounds_goes_by_its_heartbeat(database: Database) -> None:
    beat(database, "old:1", ticked=None, seen=5)
    assert names(database) == []
    database.run("UPDATE processes SET seen_at = now() - make_interval(secs => %(s)s)", {"s": OVERDUE})
    assert names(database) == ["old:1"]


def test_a_round_is_noted_on_the_beats_own_row(database: Database) -> None:
    Alive(database, "beat").note()
    Alive(database, "worker", queues=["q"], slots=1).note()
    note_round(database, process_name())
    rows = database.all("SELECT kind FROM processes WHERE ticked_at IS NOT NULL")
    assert [row["kind"] for row in rows] == ["beat"]


def test_the_others_say_once_of_each_that_it_fell_silent(database: Database) -> None:
    beat(database, "hangs:1", ticked=OVERDUE)
    others = Others()
    with capture_logs() as lines:
        assert [others.look(database) for _ in range(3)] == [1, 1, 1]
        database.run("UPDATE processes SET ticked_at = now()")
        assert others.look(database) == 0
        database.run("UPDATE processes SET ticked_at = now() - make_interval(secs => %(s)s)", {"s": OVERDUE})
        assert others.look(database) == 1
    assert [(line["event"], line["beat"]) for line in lines] == [("beat_silent", "hangs:1")] * 2
