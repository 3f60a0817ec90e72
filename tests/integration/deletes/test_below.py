"""Lines that each lot is asked for, through real runs: what goes with a lot, what is set aside, and what a stop loses."""

from collections import Counter

import pytest
from redis import Redis
from servers.systems.scripted import Said

from worker.engine.perform import carry_out
from worker.services import Services

from .conftest import Desk  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


def lots(desk: Desk, *keys: str, lines: int) -> None:
    desk.store.put(*keys, lines=[{"no": number} for number in range(lines)])


def synced(desk: Desk, count: int = 12) -> int:
    """A stream of the two lines of each lot, all in the copy."""
    stream = desk.stream("rows")
    lots(desk, *(f"r{number:02}" for number in range(count)), lines=2)
    desk.run(stream)
    desk.carry_out_ready()
    assert len(desk.copy(stream)) == count * 2
    desk.store.asked.clear()
    return stream


def asked_for(desk: Desk) -> Counter[str]:
    return Counter(path.split("/")[2] for path in desk.store.asked if "/rows" in path)


def test_lines_come_and_go_with_what_their_lot_is_asked_for(desk: Desk) -> None:
    stream = synced(desk)
    lots(desk, "r03", lines=1)
    lots(desk, "r04", lines=0)
    lots(desk, "r05", "r06", "r07", lines=3)
    said = {"r05": Said(b"{}", 404), "r06": Said(b'{"error": "no"}', 400), "r07": Said(b'{"rows": []}')}
    desk.store.singles = said.get
    run = desk.run(stream)
    gone = {'["r03",1]': "delta", '["r04",0]': "delta", '["r04",1]': "delta"}
    gone |= {'["r05",0]': "not_found", '["r05",1]': "not_found"}
    assert (run["state"], run["records_deleted"], run["records_rejected"]) == ("partial", 5, 2)
    assert desk.tombstones(stream) == gone
    rows = desk.all("SELECT code, key FROM quarantine WHERE stream_id = %(s)s ORDER BY code", s=stream)
    assert [(row["code"], row["key"]) for row in rows] == [
        ("malformed_answer", None),
        ("request_refused", None),
    ]
    desk.store.singles = lambda _: None
    lots(desk, "r05", "r06", lines=3)
    assert desk.run(stream)["state"] == "succeeded"
    assert '["r05",1]' in desk.copy(stream)
    assert '["r06",2]' in desk.copy(stream)


def test_a_lot_that_went_takes_its_lines_along_told_or_swept(desk: Desk) -> None:
    stream = synced(desk)
    desk.store.put("r03")
    desk.store.records["r03"]["@removed"] = {}
    assert desk.run(stream)["state"] == "succeeded"
    assert desk.tombstones(stream) == {'["r03",0]': "delta", '["r03",1]': "delta"}
    desk.store.drop("r03", "r04")  # and nobody tells
    desk.store.records["r05"]["lines"] = [{"no": 0}]
    for _ in range(2):
        desk.store.asked.clear()
        assert desk.sweep(stream)["state"] == "succeeded"
        assert set(asked_for(desk)) == desk.store.records.keys()
    assert desk.tombstones(stream).keys() >= {'["r04",0]', '["r04",1]', '["r05",1]'}
    assert len(desk.copy(stream)) == 19


def test_a_lot_that_is_refused_is_not_missing_from_a_sweep(desk: Desk) -> None:
    stream = synced(desk)
    desk.store.singles = {"r03": Said(b"{}", 400)}.get
    for _ in range(3):
        desk.sweep(stream)
    assert desk.tombstones(stream) == {}


def test_a_system_that_finds_none_of_them_deletes_nothing(desk: Desk) -> None:
    stream = synced(desk)
    lots(desk, *desk.store.records, lines=2)
    desk.store.singles = lambda _: Said(b"{}", 404)
    desk.run(stream)
    assert desk.tombstones(stream) == {}


def test_a_limit_in_the_midst_loses_nothing_and_asks_for_nothing_twice(desk: Desk) -> None:
    stream = synced(desk, 0)
    lots(desk, *(f"r{number:02}" for number in range(25)), lines=2)
    later = {"Content-Type": "application/json", "Retry-After": "3600"}
    desk.store.singles = lambda key: Said(b"{}", 429, later) if key >= "r17" else None
    run = desk.run(stream)
    assert (run["state"], run["wait_reason"]) == ("queued", "limit")
    assert len(desk.copy(stream)) == 34
    desk.store.singles = lambda _: None
    desk.store.asked.clear()
    with Redis.from_url(desk.services.settings.broker_url.get_secret_value()) as valkey:
        valkey.flushdb()  # the hour is over
    desk.do("UPDATE runs SET not_before = now()")
    another = Services.open(desk.services.settings, name="another")
    carry_out(another, run["id"])
    another.close()
    ended = desk.outcome(run["id"])
    assert (ended["state"], ended["records_created"]) == ("succeeded", 50)
    assert len(desk.copy(stream)) == 50
    assert asked_for(desk) == {f"r{number:02}": 1 for number in range(17, 25)}
