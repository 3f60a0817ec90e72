"""Lines that are gone with their order, or that it came without: seen at once, and never many without a person."""

from datetime import UTC, datetime

import pytest

from .conftest import Desk  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


def lots(desk: Desk, *keys: str, lines: int) -> None:
    desk.store.put(*keys, lines=[{"no": number} for number in range(lines)])


def synced(desk: Desk, count: int = 12, lines: int = 2) -> int:
    lots(desk, *(f"r{number:02}" for number in range(count)), lines=lines)
    stream = desk.stream("lines")
    desk.run(stream)
    desk.carry_out_ready()
    assert len(desk.copy(stream)) == count * lines
    return stream


def test_a_line_that_its_lot_came_without_is_gone(desk: Desk) -> None:
    stream = synced(desk)
    lots(desk, "r03", lines=1)
    desk.store.put("r04", lines=[])
    desk.store.put("r05", lines=None)
    run = desk.run(stream)
    assert (run["state"], run["records_deleted"]) == ("succeeded", 3)
    assert desk.tombstones(stream) == {'["r03",1]': "delta", '["r04",0]': "delta", '["r04",1]': "delta"}
    assert desk.one("SELECT raw FROM records WHERE key = '[\"r03\",1]'")["raw"]["lot"] == "r03"
    assert desk.run(stream)["records_deleted"] == 0
    lots(desk, "r03", lines=2)
    desk.run(stream)
    assert '["r03",1]' in desk.copy(stream)


def test_names_that_begin_alike_are_no_family(desk: Desk) -> None:
    stream = desk.stream("lines")
    lots(desk, "r1", "r11", 'r1"', "r1,", lines=2)
    desk.run(stream)
    desk.carry_out_ready()
    lots(desk, "r1", lines=1)
    desk.run(stream)
    assert desk.tombstones(stream) == {'["r1",1]': "delta"}


def test_a_lot_that_went_takes_its_lines_along(desk: Desk) -> None:
    stream = synced(desk)
    desk.store.drop("r03")
    desk.store.gone.append({"id": 1, "order": "r03", "at": datetime.now(UTC).isoformat()})
    desk.store.put("r04")
    desk.store.records["r04"]["@removed"] = {"reason": "deleted"}
    run = desk.run(stream)
    assert (run["state"], run["records_deleted"]) == ("succeeded", 4)
    assert desk.tombstones(stream) == {
        '["r03",0]': "tombstone",
        '["r03",1]': "tombstone",
        '["r04",0]': "delta",
        '["r04",1]': "delta",
    }


def test_lots_that_all_lose_their_lines_wait_for_a_person(desk: Desk) -> None:
    stream = synced(desk, 30)
    for key in list(desk.store.records):
        desk.store.put(key, lines=[])
    run = desk.run(stream)
    assert (run["state"], run["error_code"]) == ("partial", "deletes_held")
    deleted = len(desk.tombstones(stream))
    assert deleted <= 20
    assert len(desk.suspects(stream)) == 60 - deleted
    fuse = desk.row(stream)["fuse"]
    accepted = desk.run(stream, "sweep", accept=fuse["number"])
    assert accepted["state"] == "succeeded"
    assert fuse["count"] <= accepted["records_deleted"]


def test_lines_that_are_made_anew_are_no_loss_and_an_order_that_went_is_no_question(desk: Desk) -> None:
    stream = synced(desk, 15)
    lots(desk, "r00", lines=40)
    desk.run(stream)
    desk.store.put("r00", lines=[{"no": number} for number in range(100, 140)])
    run = desk.run(stream)
    assert (run["state"], run["records_created"], run["records_deleted"]) == ("succeeded", 40, 40)
    desk.store.drop("r00")
    desk.store.gone.append({"id": 1, "order": "r00", "at": datetime.now(UTC).isoformat()})
    run = desk.run(stream)
    assert (run["state"], run["records_deleted"]) == ("succeeded", 40)


def test_a_sweep_reads_the_lines_of_all_lots(desk: Desk) -> None:
    stream = synced(desk, 15)
    desk.store.records["r03"]["lines"] = [{"no": 0}]  # and nobody tells
    desk.store.drop("r04")
    for _ in range(2):
        assert desk.sweep(stream)["state"] == "succeeded"
    assert set(desk.tombstones(stream)) == {'["r03",1]', '["r04",0]', '["r04",1]'}
    assert set(desk.tombstones(stream).values()) == {"sweep"}


def test_they_are_found_where_the_database_sorts_its_texts_in_another_way(desk: Desk) -> None:
    no = "CREATE OR REPLACE FUNCTION headrace_sorts_by_bytes() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT false'"
    desk.services.database.run(no)
    stream = desk.stream("lines")
    lots(desk, "r-1", "R-1", "r1", "r,1", "r 1", "\u00e91", lines=2)
    desk.run(stream)
    desk.carry_out_ready()
    lots(desk, "r-1", lines=1)
    desk.store.put("\u00e91", lines=[])
    desk.run(stream)
    assert set(desk.tombstones(stream)) == {'["r-1",1]', '["\u00e91",0]', '["\u00e91",1]'}
