"""The demo system as a process: it can be killed at any moment, and its faults are real on the wire."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from servers.systems.demo import CONTROL_TOKEN, ENTITIES, TOKEN, Demo

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
Starter = Callable[..., Demo]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    started: list[Demo] = []

    def starter(*arguments: str) -> Demo:
        started.append(Demo(tmp_path / f"demo-{len(started)}", "--factor", "0.2", *arguments))
        return started[-1].start()

    yield starter
    for demo in started:
        demo.close()


def command(*arguments: str) -> list[str]:
    tokens = ["--token", TOKEN, "--control-token", CONTROL_TOKEN]
    return [sys.executable, "-m", "scheduler.embedded.demo", "--factor", "0.2", *tokens, *arguments]


def test_what_was_told_before_a_kill_is_still_true_after_it(start: Starter, tmp_path: Path) -> None:
    """Killed again and again while it changes as fast as it can; nobody waits for a good moment."""
    state = str(tmp_path / "plant")
    for round_ in range(3):
        demo = start("--state", state, "--rate", "400", "--requests", "0")
        known = [record["id"] for record in demo.control("GET", "truth?entity=sites")["records"]]
        assert [f"SITE-{n:02d}" for n in range(3, 3 + round_)] == [i for i in sorted(known) if i > "SITE-02"]
        for _ in range(30):
            seen = demo.walk("work_orders", limit=500, include_deleted="true")
        made = demo.control("POST", "create", {"entity": "sites", "fields": {"name": f"Round {round_}"}})
        demo.kill()

        again = start("--state", state, "--rate", "0", "--requests", "0")
        kept = {r["id"]: r for r in again.walk("work_orders", limit=500, include_deleted="true")}
        for record in seen:
            later = kept[record["id"]]
            assert later == record or later["updated_at"] > record["updated_at"]
        assert made in again.control("GET", "truth?entity=sites")["records"]
        again.kill()


def test_a_frozen_system_says_the_same_truth_after_a_kill(start: Starter, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "plant"), "--rate", "0")
    demo = start(*state)
    demo.control("POST", "tick?n=500")
    demo.control("POST", "bulk?entity=parts&count=1500&days=20")
    told = whole_truth(demo)
    demo.kill()
    again = start(*state)
    assert whole_truth(again) == told
    assert again.control("GET", "life")["step"] == 500


def test_two_processes_of_one_seed_and_moment_are_the_same_to_the_byte(start: Starter) -> None:
    same = ("--seed", "11", "--epoch", "2026-03-01T00:00:00Z", "--rate", "0")
    pages = [start(*same).client.get("/api/v1/work_orders?limit=500").content for _ in range(2)]
    assert pages[0] == pages[1]


def test_a_living_system_is_read_whole_by_cursor(start: Starter) -> None:
    """While records move, a reader by cursor meets every record that was there all the time."""
    demo = start("--rate", "100", "--requests", "0")
    before = {record["id"] for record in demo.walk("work_orders", limit=500)}
    seen = {record["id"] for record in demo.walk("work_orders", limit=20, include_deleted="true")}
    assert before <= seen
    assert demo.control("GET", "life")["step"] > 0


def test_many_readers_at_once_never_pass_the_limit(start: Starter) -> None:
    demo = start("--requests", "25", "--per", "1.5", "--rate", "50")
    statuses: list[int] = []

    def read() -> None:
        with httpx.Client(base_url=demo.base_url, trust_env=False) as client:
            for _ in range(60):
                answer = client.get("/api/v1/sites", headers={"Authorization": f"Bearer {TOKEN}"})
                statuses.append(answer.status_code)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    stats = demo.control("GET", "stats")
    admitted = [at for at, _, let_in in stats["arrivals"] if let_in]
    assert len(stats["arrivals"]) == len(statuses) == 240
    assert statuses.count(200) == len(admitted) == stats["by_status"]["200"] >= 25
    assert all(later - first >= 1.5 for first, later in zip(admitted, admitted[25:], strict=False))
    assert stats["concurrency"]["max"] >= 1


def test_small_answers_on_one_connection_are_not_held_back(start: Starter) -> None:
    """Without TCP_NODELAY each of them would wait some 40 ms for an acknowledgement."""
    demo = start("--rate", "0", "--requests", "0")
    demo.client.get("/api/v1/sites")
    times = sorted(demo.client.get("/api/v1/sites").elapsed.total_seconds() for _ in range(20))
    assert times[10] < 0.03


def test_a_truncated_body_breaks_the_transfer_and_only_that(start: Starter) -> None:
    demo = start("--rate", "0")
    demo.control("POST", "faults", {"truncated_body": True, "count": 1})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        demo.client.get("/api/v1/work_orders?limit=500")
    assert len(demo.client.get("/api/v1/work_orders?limit=500").json()["data"]) == 500


def test_it_ends_in_order_and_says_so_even_while_an_answer_is_slow(start: Starter) -> None:
    demo = start()
    demo.control("POST", "faults", {"latency_ms": 60_000})

    def wait_long() -> None:
        with suppress(httpx.HTTPError), httpx.Client(trust_env=False, timeout=30) as client:
            client.get(f"{demo.base_url}/api/v1/sites", headers={"Authorization": f"Bearer {TOKEN}"})

    slow = threading.Thread(target=wait_long)
    slow.start()
    while demo.control("GET", "stats?arrivals=false")["concurrency"]["now"] == 0:
        pass
    assert demo.end() == 0
    slow.join(timeout=10)
    assert not slow.is_alive()


def test_it_ends_with_its_parent_when_asked_to(tmp_path: Path) -> None:
    """The parent is killed and can't say goodbye; nothing is left behind."""
    ready = tmp_path / "ready"
    child = command("--exit-with-parent", "--ready-file", str(ready))
    script = f"import subprocess; subprocess.Popen({child!r}).wait()"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    tick = threading.Event()
    while not ready.exists():
        assert parent.poll() is None
        tick.wait(0.05)
    told = json.loads(ready.read_text())
    assert httpx.get(f"{told['base_url']}/health", trust_env=False).status_code == 200
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(200):
        try:
            os.kill(told["pid"], 0)
        except ProcessLookupError:
            return
        if _is_zombie(told["pid"]):
            return
        tick.wait(0.05)
    os.kill(told["pid"], signal.SIGKILL)
    pytest.fail("The demo system outlived its parent.")


def test_a_port_in_use_and_a_state_in_use_are_said_in_one_sentence(start: Starter, tmp_path: Path) -> None:
    state = str(tmp_path / "plant")
    demo = start("--state", state)
    port = demo.base_url.rpartition(":")[2]
    for arguments, words in ((("--port", port), f"Port {port}"), (("--state", state), "in use")):
        second = subprocess.run(
            command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
        )
        assert second.returncode == 1
        assert words in second.stderr
        assert "Traceback" not in second.stderr
    assert demo.client.get("/health").status_code == 200


def test_tokens_come_from_files_and_appear_nowhere(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file-1\n")
    (tmp_path / "control").write_text("from-a-file-2\n")
    log = tmp_path / "log"
    ready = tmp_path / "ready"
    arguments = ["--token-file", str(tmp_path / "token"), "--control-token-file", str(tmp_path / "control")]
    arguments += ["--factor", "0.1", "--ready-file", str(ready), "--state", str(tmp_path / "plant")]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "scheduler.embedded.demo", *arguments],
            cwd=ROOT,
            stdout=file,
            stderr=file,
        )
    try:
        tick = threading.Event()
        while not ready.exists():
            assert process.poll() is None
            tick.wait(0.05)
        url = json.loads(ready.read_text())["base_url"]
        for path, header in (
            ("/api/v1/sites", {"Authorization": "Bearer from-a-file-1"}),
            ("/control/life", {"X-Control-Token": "from-a-file-2"}),
        ):
            assert httpx.get(url + path, headers=header, trust_env=False).status_code == 200
            assert httpx.get(url + path, trust_env=False).status_code == 401
    finally:
        process.terminate()
        process.wait(timeout=10)
    written = log.read_bytes() + ready.read_bytes() + (tmp_path / "plant").read_bytes()
    assert b"from-a-file" not in written


def test_it_loads_nothing_of_headrace() -> None:
    """An honest third party: what it answers can't come from the code that it tests."""
    script = (
        "import sys, scheduler.embedded.demo.__main__;"
        "print([m for m in sys.modules if m.partition('.')[0] in {'worker', 'celery', 'fastapi'}"
        " or m.startswith('scheduler.') and not m.startswith('scheduler.embedded')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def whole_truth(demo: Demo) -> dict[str, object]:
    return {entity: demo.truth(entity) for entity in ENTITIES}


def _is_zombie(pid: int) -> bool:
    """Where nobody reaps orphans, a process that has ended still has its pid."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"
