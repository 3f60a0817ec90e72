"""Runs of a tap from claim to end: a real process that speaks Singer, and a real ledger."""

import json
from dataclasses import replace
from typing import Any

import psutil
import pytest
from servers.taps.bench import TapBench
from servers.waiting import beside, wait_until

from worker.engine.admission.company import wait_for_others
from worker.engine.perform import carry_out
from worker.errors import RateLimited
from worker.runs.cancel import cancel_run
from worker.runs.claim import claim_run
from worker.runs.rescue import rescue_lapsed

pytestmark = pytest.mark.integration


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def taps_of(bench: TapBench) -> list[int]:
    return [int(line) for line in bench.pids.read_text().split()]


def ready(bench: TapBench) -> None:
    bench.services.database.run("UPDATE runs SET not_before = now() WHERE state = 'queued'")


def test_the_first_run_reads_all_and_the_next_ones_go_on_from_its_state(taps: TapBench) -> None:
    taps.has(*range(5))
    orders = taps.stream("orders")
    first = taps.sync(orders)
    assert (first["state"], first["records_created"]) == ("succeeded", 5)
    state = json.loads(taps.cursor(orders)["watermark"]["token"])
    assert state == {"bookmarks": {"plant-orders": "2026-01-01T00:00:04Z"}}
    taps.has(3, 4, 5, 6, minute=1)
    second = taps.sync(orders)
    assert (second["records_read"], second["records_created"], second["records_updated"]) == (4, 2, 2)
    idle = taps.sync(orders)
    assert (idle["records_read"], idle["records_updated"]) == (1, 0), (
        "the last row is read twice, and changes nothing"
    )
    assert sorted(taps.copy(orders), key=int) == [str(n) for n in range(7)]


def test_a_table_that_is_read_whole_is_swept_and_what_is_gone_is_noticed(taps: TapBench) -> None:
    taps.describe(versions=True)
    taps.has(*range(6))
    sites = taps.stream("sites")
    assert taps.sync(sites)["records_created"] == 6
    taps.has(*range(1, 6))
    assert taps.sync(sites)["records_deleted"] == 0
    assert [taps.sync(sites, "sweep")["state"] for _ in range(2)] == ["succeeded", "succeeded"]
    assert sorted(taps.copy(sites)) == ["1", "2", "3", "4", "5"]


def test_a_table_that_did_not_come_whole_is_no_evidence(taps: TapBench) -> None:
    taps.has(*range(6))
    sites = taps.stream("sites")
    taps.sync(sites)
    taps.has(*range(1, 6))
    taps.describe(versions=True, never_activates=True)
    run = taps.sync(sites, "sweep")
    assert (run["state"], run["error_code"]) == ("queued", "version_not_activated")
    assert len(taps.copy(sites)) == 6


def test_after_a_crash_in_the_midst_the_run_goes_on_from_the_last_state(taps: TapBench) -> None:
    taps.describe(does="crash", after=5)
    taps.has(*range(9))
    orders = taps.stream("orders")
    run = taps.request(orders)
    carry_out(taps.services, run)
    crashed = taps.outcome(run)
    assert (crashed["state"], crashed["error_code"], crashed["attempt"]) == ("queued", "tap_failed", 1)
    assert "the plant burnt down" in crashed["error"]
    assert len(taps.copy(orders)) == 5
    taps.describe()
    ready(taps)
    carry_out(taps.services, run)
    done = taps.outcome(run)
    assert done["state"] == "succeeded"
    assert done["records_read"] == 5 + 6, "from the state after row 3 on, which is read again"
    assert len(taps.copy(orders)) == 9


def test_a_worker_that_is_killed_takes_its_tap_along_and_another_goes_on(taps: TapBench) -> None:
    taps.describe(does="hang", after=5)
    taps.has(*range(9))
    orders = taps.stream("orders")
    run = taps.request(orders)
    worker = taps.another_worker(run)
    try:
        wait_until(
            lambda: len(taps.copy(orders)) == 5 or worker.poll() is not None,
            timeout=30,
            what="a page of five",
        )
        assert worker.poll() is None, (taps.folder / "worker.log").read_text()[-2000:]
        assert lives(taps_of(taps)[-1])
    finally:
        worker.kill()
        worker.wait()
    wait_until(lambda: not any(map(lives, taps_of(taps))), what="the end of its tap")
    taps.describe()
    wait_until(lambda: rescue_lapsed(taps.services.database, max_attempts=5).saved, what="the rescue")
    ready(taps)
    carry_out(taps.services, run)
    assert taps.outcome(run)["state"] == "succeeded"
    assert len(taps.copy(orders)) == 9
    assert list((taps.folder / "home" / "taps" / "work").glob("*")) == []


def test_a_run_that_is_cancelled_ends_its_tap(taps: TapBench) -> None:
    taps.services.sender._carrying._carriers["tap"]._beat = 0.3  # type: ignore[attr-defined]
    taps.describe(does="hang", after=5)
    taps.has(*range(9))
    orders = taps.stream("orders")
    run = taps.request(orders)
    with beside(lambda: carry_out(taps.services, run)) as met:
        wait_until(lambda: len(taps.copy(orders)) == 5, what="a page of five")
        cancel_run(taps.services.database, run)
        taps.services.leases.renew()
    assert not met
    assert taps.outcome(run)["state"] == "cancelled"
    assert not any(map(lives, taps_of(taps)))


def test_one_stream_of_a_connection_is_read_at_a_time(taps: TapBench) -> None:
    taps.services.sender._carrying._carriers["tap"]._beat = 0.3  # type: ignore[attr-defined]
    taps.describe(does="hang", after=5)
    taps.has(*range(9))
    orders, sites = taps.stream("orders"), taps.stream("sites")
    run, other = taps.request(orders), taps.request(sites)
    with beside(lambda: carry_out(taps.services, run)):
        wait_until(lambda: len(taps.copy(orders)) == 5, what="a page of five")
        carry_out(taps.services, other)
        waits = taps.outcome(other)
        cancel_run(taps.services.database, run)
        taps.services.leases.renew()
    assert (waits["state"], waits["wait_reason"], waits["attempt"]) == ("queued", "limit", 0)


def test_of_two_that_are_claimed_in_the_same_moment_one_goes_on(taps: TapBench) -> None:
    database = taps.services.database
    runs = [taps.request(taps.stream(name)) for name in ("orders", "sites")]
    first, second = (claim_run(database, run, worker="here:1", lease=30.0) for run in runs)
    assert first is not None
    assert second is not None
    wait_for_others(database, second, 1)  # which doesn't see the other's claim yet
    with pytest.raises(RateLimited) as refusal:
        wait_for_others(database, first, 1)
    assert refusal.value.code == "others_first"
    wait_for_others(database, second, 1)
    wait_for_others(database, first, 2)


@pytest.mark.parametrize("name", ["orders", "sites"])
def test_of_a_large_table_as_much_is_compared_as_the_allowance_has_room_for(
    taps: TapBench, name: str
) -> None:
    carrier = taps.services.sender._carrying._carriers["tap"]
    carrier._house = replace(carrier._house, batch=10)  # type: ignore[attr-defined]
    taps.describe()
    taps.has(*range(100))
    stream = taps.stream(name)
    taps.sync(stream)
    mangled = "UPDATE records SET content_hash = gen_random_uuid()"
    taps.services.database.run(f"{mangled} WHERE key = '12'")
    run = taps.request(stream, "verify", requests=6)
    carry_out(taps.services, run)
    proof = taps.services.database.one("SELECT methods, checked, different, pending FROM verifications")
    assert proof is not None
    assert (proof["methods"], proof["checked"]) == (["beginning"], 30)
    assert proof["different"] + proof["pending"] == 1
    assert not any(map(lives, taps_of(taps))), "none is left that nobody reads to its end"


def test_what_an_installation_does_not_allow_is_not_run(taps: TapBench) -> None:
    taps.describe(tap="/bin/sh")
    run = taps.sync(taps.stream("orders"))
    assert (run["state"], run["error_code"]) == ("failed", "tap_not_allowed")
    assert "HEADRACE_TAPS" in run["error"]
    assert taps_of(taps) == []


def test_a_huge_line_is_in_quarantine_and_the_others_are_in_the_copy(taps: TapBench) -> None:
    carrier: Any = taps.services.sender._carrying._carriers["tap"]
    object.__setattr__(carrier._house, "most_line", 1_000_000)
    taps.describe(does="huge", after=2)
    taps.has(*range(5))
    orders = taps.stream("orders")
    run = taps.sync(orders)
    assert (run["state"], run["records_rejected"]) == ("partial", 1)
    assert len(taps.copy(orders)) == 5


def test_a_record_with_a_nan_is_read_with_care_and_costs_nobody_else(taps: TapBench) -> None:
    taps.describe(does="nan", after=2)
    taps.has(*range(5))
    orders = taps.stream("orders")
    run = taps.sync(orders)
    assert len(taps.copy(orders)) >= 5
    assert run["state"] in {"succeeded", "partial"}
