"""Lists that hold only keys, read through real runs: what is limited, killed or gone in the midst."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from servers.systems.scripted import Said

from worker.engine.job import Job
from worker.engine.perform import carry_out
from worker.runs.rescue import rescue_lapsed
from worker.services import Services

from .conftest import Desk  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


def shelf(desk: Desk, count: int) -> int:
    """A stream whose live run has read nothing yet, and so many tickets of today."""
    stream = desk.stream("tickets")
    desk.run(stream)
    desk.carry_out_ready()
    desk.store.put(*(f"r{number:04}" for number in range(count)), text="whole")
    desk.store.asked.clear()
    return stream


def asked_for(desk: Desk) -> Counter[str]:
    return Counter(path.rsplit("/", 1)[1] for path in desk.store.asked if path.count("/") > 1)


def test_every_ticket_is_asked_for_by_its_key_and_a_sweep_asks_for_none(desk: Desk) -> None:
    stream = shelf(desk, 25)
    run = desk.run(stream)
    assert (run["state"], run["records_read"], run["records_created"]) == ("succeeded", 25, 25)
    assert desk.copy(stream) == desk.store.records.keys()
    assert {row["raw"]["text"] for row in desk.all("SELECT raw FROM records")} == {"whole"}
    assert set(asked_for(desk).values()) == {1}
    desk.store.asked.clear()
    assert desk.sweep(stream)["state"] == "succeeded"
    assert desk.last_sweep(stream)["seen"] == 25
    assert asked_for(desk) == {}


def test_a_limit_in_the_midst_loses_nothing_and_asks_for_nothing_twice(desk: Desk) -> None:
    stream = shelf(desk, 25)
    said: list[str] = []
    later = {"Content-Type": "application/json", "Retry-After": "3600"}

    def limited(key: str) -> Said | None:
        if key >= "r0017":
            said.append(key)
            return Said(b"{}", 429, later)
        return None

    desk.store.singles = limited
    run = desk.run(stream)
    assert (run["state"], run["wait_reason"]) == ("queued", "limit")
    assert desk.copy(stream) == {f"r{number:04}" for number in range(17)}
    desk.store.singles = lambda _: None
    desk.store.asked.clear()
    with Redis.from_url(desk.services.settings.broker_url.get_secret_value()) as valkey:
        valkey.flushdb()  # the hour is over
    desk.do("UPDATE runs SET not_before = now()")
    another = Services.open(desk.services.settings, name="another")
    carry_out(another, run["id"])
    another.close()
    ended = desk.outcome(run["id"])
    assert (ended["state"], ended["records_created"]) == ("succeeded", 25)
    assert desk.copy(stream) == desk.store.records.keys()
    assert asked_for(desk) == {f"r{number:04}": 1 for number in range(17, 25)}


def test_a_worker_that_is_killed_repeats_one_part_of_a_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = shelf(desk, 25)
    monkeypatch.setattr("worker.engine.fetching.details.SECONDS", -1.0)  # a part is as little as it can be
    load, commits = Job.load, []

    def dies(job: Job, *rest: Any) -> Any:
        commits.append(job)
        if len(commits) == 8:
            raise KeyboardInterrupt
        return load(job, *rest)

    monkeypatch.setattr(Job, "load", dies)
    run = desk.request(stream)
    with pytest.raises(KeyboardInterrupt):
        carry_out(desk.services, run)
    done = desk.copy(stream)
    assert 7 <= len(done) < 25
    desk.do("UPDATE runs SET lease_until = now() WHERE id = %(r)s", r=run)
    rescue_lapsed(desk.services.database, max_attempts=3)
    desk.do("UPDATE runs SET not_before = now()")
    desk.store.asked.clear()
    carry_out(desk.services, run)
    assert desk.outcome(run)["state"] == "succeeded"
    assert desk.copy(stream) == desk.store.records.keys()
    assert asked_for(desk).keys() == desk.store.records.keys() - done


def test_a_ticket_that_went_since_it_was_listed_is_gone(desk: Desk) -> None:
    stream = shelf(desk, 12)
    desk.run(stream)
    desk.store.put("r0003", "r0004")
    desk.store.singles = lambda key: Said(b"{}", 404) if key == "r0003" else None
    assert desk.run(stream)["state"] == "succeeded"
    assert desk.tombstones(stream) == {"r0003": "not_found"}


def test_a_system_that_finds_none_of_what_it_lists_deletes_nothing(desk: Desk) -> None:
    stream = shelf(desk, 30)
    desk.run(stream)
    desk.store.put(*desk.store.records)
    desk.store.singles = lambda _: Said(b"{}", 404)
    desk.run(stream)
    assert desk.tombstones(stream) == {}
    desk.store.singles = lambda key: None if key == "r0000" else Said(b"{}", 404)
    assert desk.run(stream)["error_code"] == "deletes_held"
    assert len(desk.tombstones(stream)) <= 20


def test_a_ticket_that_cannot_be_read_is_set_aside_beside_others(desk: Desk) -> None:
    stream = shelf(desk, 12)
    said = {
        "r0003": Said(b'{"data": {"id": "r0003", "n": NaN}}'),
        "r0004": Said(b"<html>"),
        "r0005": Said(b"{}", 400),
        "r0006": Said(json.dumps({"data": {"id": "r0007"}}).encode()),
    }
    desk.store.singles = said.get
    run = desk.run(stream)
    assert (run["state"], run["records_rejected"]) == ("partial", 4)
    assert desk.copy(stream) == desk.store.records.keys() - said.keys()
    rows = desk.all("SELECT key, code FROM quarantine WHERE stream_id = %(s)s", s=stream)
    assert {row["key"]: row["code"] for row in rows} == {
        "r0003": "not_json",
        "r0004": "malformed_answer",
        "r0005": "request_refused",
        "r0006": "other_record",
    }


def test_history_is_read_by_the_keys_too(desk: Desk) -> None:
    old = (datetime.now(UTC) - timedelta(days=40)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    for number in range(15):
        desk.store.records[f"r{number:04}"] = {"id": f"r{number:04}", "at": old}
    stream = desk.stream("tickets")
    desk.run(stream)
    desk.carry_out_ready()
    assert desk.copy(stream) == desk.store.records.keys()
