"""`headrace worker` as users start it: processes for the machine, looked after, and none left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from servers.installation.stack import read_log
from servers.waiting import wait_until

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0
COMMAND = (sys.executable, "-P", "-m", "scheduler.cli")

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def hangups_arrive() -> Iterator[None]:
    """What is started under `nohup` has its children ignore it, too; a fleet that is tried here shall hear it."""
    before = signal.getsignal(signal.SIGHUP)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class Fleet:
    """A `headrace worker` with two main processes and one for bulk."""

    def __init__(
        self, folder: Path, database_url: str, broker_url: str, *arguments: str, **settings: str
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        self.log = folder / "fleet.log"
        self.environment = kept | {
            "HEADRACE_HOME": str(folder / "home"), "HEADRACE_DATABASE_URL": database_url,
            "HEADRACE_BROKER_URL": broker_url, "HEADRACE_LOG_FORMAT": "json", "PYTHONPATH": str(ROOT), **settings,
        }  # fmt: skip
        sizes = ("--processes", "2", "--bulk-processes", "1")
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [*COMMAND, "worker", *sizes, *arguments], env=self.environment, cwd=folder, stdout=out, stderr=out
            )  # fmt: skip

    def events(self, name: str) -> list[dict[str, object]]:
        return [line for line in read_log(self.log) if line.get("event") == name]

    def wait_for(self, event: str, count: int = 1) -> None:
        wait_until(
            lambda: len(self.events(event)) >= count or self.process.poll() is not None,
            PATIENCE,
            what=f"{count} {event}",
        )

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def fleet(hangups_arrive: None, database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path, database_url, broker_url)
    try:
        made.wait_for("worker_started", 3)
        assert made.process.poll() is None, made.log.read_text()
        children = made.children()
        yield made
    finally:
        made.process.kill()
        made.process.wait(10)
        for child in children:
            child.kill() if child.is_running() else None


def workers(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM processes WHERE kind = 'worker'").fetchone()
    assert row is not None
    return int(row[0])


def gone(processes: list[psutil.Process]) -> bool:
    return not [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_says_what_it_chose_and_ends_in_order_when_told(
    fleet: Fleet, database_url: str, told: signal.Signals
) -> None:
    (chosen,) = fleet.events("fleet_started")
    assert (chosen["main_processes"], chosen["bulk_processes"], chosen["slots"]) == (2, 1, 68)
    assert "as set" in str(chosen["chosen"])
    assert workers(database_url) == 3
    children = fleet.children()
    fleet.process.send_signal(told)
    assert fleet.process.wait(PATIENCE) == 0
    assert gone(children)
    assert workers(database_url) == 0, "whoever leaves in order isn't missed"


def test_a_process_that_is_hung_up_on_drains_and_is_replaced(fleet: Fleet) -> None:
    """Celery would carry on to the end of its runs, however long, and then start itself anew under the same number."""
    told, *others = fleet.children()
    told.send_signal(signal.SIGHUP)
    fleet.wait_for("worker_started", 4)
    assert [(event["child_pid"], event["exit_code"]) for event in fleet.events("worker_ended")] == [
        (told.pid, 0)
    ]
    assert all(other.is_running() for other in others)


def test_one_that_is_killed_is_started_again_and_the_others_do_not_notice(fleet: Fleet) -> None:
    victim, *others = fleet.children()
    victim.kill()
    fleet.wait_for("worker_started", 4)
    assert [event["exit_code"] for event in fleet.events("worker_ended")] == [-9]
    assert all(other.is_running() for other in others)
    assert len(fleet.children()) == 3


def test_no_process_is_left_when_the_parent_is_killed(fleet: Fleet) -> None:
    children = fleet.children()
    fleet.process.kill()
    wait_until(lambda: gone(children), PATIENCE, what="the end of all workers")


def test_processes_notice_by_themselves_that_their_parent_is_gone(fleet: Fleet) -> None:
    """Where no kernel tells them: nobody but Linux has such a wish, and a wish can be lost."""
    children = fleet.children()
    for child in children:
        child.suspend()  # so that the kernel's word comes together with the waking, as it may
    fleet.process.kill()
    for child in children:
        child.resume()
    wait_until(lambda: gone(children), PATIENCE, what="the end of all workers")


def test_a_process_that_grows_past_its_bound_is_replaced_and_loses_nothing(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    """A bound that it passes at once: each life drains, ends with the code for it, and another begins."""
    fleet = Fleet(tmp_path, database_url, broker_url, "--lane", "main", HEADRACE_PROCESS_MEMORY="20")
    try:
        fleet.wait_for("worker_ended", 2)
        assert {event["exit_code"] for event in fleet.events("worker_ended")} == {75}
        assert "MB" in str(fleet.events("worker_drains")[0]["reason"])
        fleet.process.send_signal(signal.SIGTERM)
        assert fleet.process.wait(PATIENCE) == 0
    finally:
        fleet.process.kill()


def test_it_warns_where_postgres_would_turn_its_connections_away(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    fleet = Fleet(tmp_path, database_url, broker_url, "--lane", "main", HEADRACE_DATABASE_POOL="100")
    try:
        fleet.wait_for("too_few_connections")
        (warned,) = fleet.events("too_few_connections")
        assert warned["needed"] == 2 * 101 + 20
    finally:
        fleet.process.kill()
        fleet.process.wait(10)


def test_an_error_at_the_first_start_ends_it_with_words(database_url: str, tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, database_url.replace("@", "@nowhere.invalid:1/", 1), "redis://127.0.0.1:1/0")
    try:
        assert fleet.process.wait(PATIENCE) == 4, "the code for what may work later"
    finally:
        fleet.process.kill()
    assert "Postgres" in fleet.log.read_text()
