"""The source is broken, strict, late or moves while it is read: the copy converges to the truth all the same."""

import time
from pathlib import Path

import pytest
from servers.installation.plant import Plant, connected
from servers.installation.stack import Stack, add_system
from servers.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

ENTITY = "work_orders"
REQUESTS, PER = 20, 2.0


def add_systems(folder: Path) -> None:
    limits = {"requests": REQUESTS, "per": f"{PER:.0f}s", "burst": 5, "concurrency": 8}
    add_system(folder, "strict", limits=limits)


@pytest.fixture
def synced(plant: Plant) -> Plant:
    plant.connect(entities=(ENTITY,))
    plant.stack.wait_until_idle()
    return plant


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"error_rate": 1.0, "error_status": 500}, "system_error"),
        ({"error_rate": 1.0, "error_status": 502, "error_body": "html"}, "system_error"),
        ({"truncated_body": True}, "broken_answer"),
        ({"malformed_json": True}, "malformed_page"),
        ({"storm_429": 1}, "rate_limited"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_fault_of_a_page_makes_the_run_wait_and_is_gone_with_it(
    synced: Plant, fault: dict[str, object], code: str
) -> None:
    """It strikes in the second page, so there is something to go on from."""
    plant = synced
    plant.demo.control("POST", f"bulk?entity={ENTITY}&count=60")
    plant.demo.fault(latency_ms=300)
    (run,) = plant.request(ENTITY)
    wait_until(plant.demo.under_way, what="the first request")
    plant.demo.fault(**fault)
    wait_until(lambda: (row := plant.open_run(ENTITY)) and row["wait_reason"], what="a run that waits")
    row = plant.open_run(ENTITY)
    assert row
    assert row["error_code"] == code
    assert row["attempt"] == (0 if code == "rate_limited" else 1)
    plant.demo.clear_faults()
    plant.request(ENTITY)  # somebody asks, so the pause before the next attempt is over
    plant.wait_for(run.id)
    assert plant.ended(run.id)["records_created"] == 60
    plant.assert_copy_equals_truth()


@pytest.mark.parametrize("how", ["wrong_type", "missing_id", "not_an_object"])
def test_one_bad_record_is_set_aside_and_its_page_goes_on(synced: Plant, how: str) -> None:
    plant = synced
    plant.demo.control("POST", f"bulk?entity={ENTITY}&count=40")
    plant.demo.fault(bad_record=how, count=1)
    (run,) = plant.sync(ENTITY)
    assert (run["state"], run["records_created"], run["records_rejected"]) == ("partial", 39, 1)
    (bad,) = plant.quarantined(ENTITY)
    assert bad["reason"]
    assert bytes(bad["raw"])
    (spoilt,) = plant.demo.truth(ENTITY)[0].keys() - plant.copy(ENTITY)[0].keys()
    plant.demo.change(ENTITY, int(spoilt), title="mended")
    plant.assert_copy_equals_truth()


def test_a_revoked_token_needs_a_person_and_nothing_but_the_token(synced: Plant) -> None:
    plant = synced
    plant.demo.fault(auth_revoked=True)
    plant.demo.change(ENTITY, 7, title="changed while we were locked out")
    (run,) = plant.sync(ENTITY)
    assert (run["state"], run["attempt"], run["error_code"]) == ("failed", 0, "auth_refused")
    assert plant.stream(ENTITY)["failures"] == 1
    plant.demo.clear_faults()
    (run,) = plant.sync(ENTITY)
    assert (run["state"], run["records_updated"]) == ("succeeded", 1)
    assert plant.stream(ENTITY)["failures"] == 0


def test_after_a_429_nobody_asks_until_the_system_said(plant: Plant) -> None:
    """Three workers, seven streams, one account: the first refusal silences all."""
    stack = plant.stack
    stack.start("main-2", "main-3")
    plant.connect()
    stack.wait_until_idle()
    plant.demo.forget_stats()
    plant.demo.fault(storm_429=3, count=1)
    plant.request()
    stack.wait_until_idle()
    arrivals = [at for at, _ in plant.demo.arrivals()]
    refused = plant.demo.statuses()["429"]
    assert refused == 1
    begun = max(range(1, len(arrivals)), key=lambda place: arrivals[place] - arrivals[place - 1])
    assert arrivals[begun] - arrivals[begun - 1] >= 2.9
    assert begun <= 16, "those that were on their way when the answer came, and no more"
    plant.assert_copy_equals_truth()


def test_three_workers_together_never_exceed_the_limit(stack: Stack, tmp_path: Path) -> None:
    """As the source counts arrivals, in any window, to within 2 % of the window. It refuses nothing either."""
    stack.ensure("main-1", "main-2", "main-3")
    with connected(stack, tmp_path, system="strict") as plant:
        plant.connect()
        plant.demo.control("POST", "limits", {"requests": REQUESTS, "per": PER})
        stack.wait_until_idle()
        for _ in range(4):
            plant.sync()
        arrivals = [at for at, _ in plant.demo.arrivals()]
        assert len(arrivals) > 2 * REQUESTS
        in_window = [later - first for first, later in zip(arrivals, arrivals[REQUESTS:], strict=False)]
        assert min(in_window) >= 0.98 * PER, f"{REQUESTS + 1} requests within {min(in_window):.3f} s"
        plant.assert_copy_equals_truth()


def test_equal_times_across_pages_lose_nothing(plant: Plant) -> None:
    """A hundred records with one time are five pages; another hundred follow in the middle of the next sync."""
    plant.demo.fault(duplicate_timestamps=100, entity=ENTITY)
    plant.connect(entities=(ENTITY,))
    plant.stack.wait_until_idle()
    plant.demo.fault(latency_ms=100)
    plant.demo.fault(duplicate_timestamps=100, entity=ENTITY)
    (run,) = plant.request(ENTITY)
    wait_until(lambda: (row := plant.open_run(ENTITY)) and row["pages"] >= 2, what="two pages")
    plant.demo.fault(duplicate_timestamps=100, entity=ENTITY)
    plant.wait_for(run.id)
    plant.demo.clear_faults()
    plant.assert_copy_equals_truth()


def test_what_is_committed_late_is_found_by_looking_back(stack: Stack, tmp_path: Path) -> None:
    """Changes are stamped now and show two seconds later, while we sync again and again."""
    with connected(stack, tmp_path, "--rate", "40", system="demo") as plant:
        plant.demo.fault(late_commit_seconds=2)
        plant.connect()
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            plant.sync(ENTITY, "parts")
        plant.assert_copy_equals_truth()


def test_a_source_that_changes_while_it_is_paged_is_copied_whole(plant: Plant) -> None:
    """Records move from pages that we have read to the end, and from pages that we haven't to the end, too."""
    plant.demo.fault(latency_ms=30)
    plant.demo.thaw(rate=80)
    plant.connect()
    for _ in range(3):
        plant.sync()
    plant.demo.clear_faults()
    plant.assert_copy_equals_truth()


def test_pages_that_shift_under_a_reader_lose_nothing_by_cursor(synced: Plant) -> None:
    """Everything that is not read yet is stamped anew between two pages: an offset would jump over some."""
    plant = synced
    plant.demo.control("POST", f"bulk?entity={ENTITY}&count=60")
    plant.demo.fault(latency_ms=150)
    (run,) = plant.request(ENTITY)
    live = sorted(map(int, plant.demo.truth(ENTITY)[0]))
    seen = 0
    while row := plant.open_run(ENTITY):
        if row["pages"] > seen and seen < 3:
            seen = row["pages"]
            for key in live[seen * 10 : seen * 10 + 10]:
                plant.demo.change(ENTITY, key, title=f"moved after page {seen}")
            plant.demo.create(ENTITY)
    plant.wait_for(run.id)
    assert seen
    pages = [run["pages"] for run in plant.history(ENTITY)]
    assert all(pages)
    plant.demo.clear_faults()
    plant.assert_copy_equals_truth()
