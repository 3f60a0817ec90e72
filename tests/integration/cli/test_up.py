"""`headrace up` with everything that it starts, and its parts alone."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from servers.installation.up import Up
from servers.waiting import wait_until

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0


@pytest.mark.slow
def test_everything_starts_syncs_heals_and_stops_without_a_trace(tmp_path: Path) -> None:
    """One start for many looks: it is the slowest thing there is."""
    folder = tmp_path / "work"
    (folder / "scheduler").mkdir(parents=True)  # names of ours that a user may well have
    (folder / "worker.py").write_text("raise SystemExit(1)")
    up = Up(tmp_path / "home", folder)
    try:
        wait_until(lambda: up.says("synced, all"), 100, what="the first sync")
        assert up.process.poll() is None, up.text
        _look_at_the_api(up)
        _look_at_webhooks(up)
        _look_at_flower(up)
        _look_at_the_command_lines(up)
        _erase_with_the_key_of_the_home(up)
        assert json.loads((up.home / "endpoints.json").read_text())["outbound_loopback"] == "true"
        second = Up(up.home, tmp_path)
        assert second.process.wait(30) == 1
        assert "Another `headrace up`" in second.text
        _kill_a_part(up)
        assert up.command("sync", "demo-plant", "sites", "--wait").returncode == 0
        removed = up.command("demo", "remove")
        assert (removed.returncode, "records" in removed.stdout) == (0, True), removed.stderr
        assert json.loads(up.command("connections", "--json").stdout) == []
        children = up.children()
    finally:
        up.stop()
    assert up.process.returncode == 0, up.text
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    left = [path.name for path in up.home.rglob("*") if "demo" in path.name and path.name != "no-demo"]
    assert left == []
    assert not (up.home / "endpoints.json").exists()


def _erase_with_the_key_of_the_home(up: Up) -> None:
    """Beside the embedded database there is a key for digests, and nobody had to make one."""
    assert (up.home / "privacy-key").stat().st_mode & 0o077 == 0
    (first,) = json.loads(up.command("records", "demo-plant", "sites", "--limit", "1", "--json").stdout)
    erased = up.command("erase", "demo-plant", "sites", first["key"], "--yes", "--json")
    assert json.loads(erased.stdout)["erased"] is True, erased.stderr
    assert "records" in up.command("storage", "demo-plant").stdout


def _look_at_the_api(up: Up) -> None:
    token = (up.home / "api-token-test").read_text().strip()  # the demo is a test connection
    for name in ("api-token", "api-token-test"):
        assert (up.home / name).stat().st_mode & 0o077 == 0
    headers = {"Authorization": f"Bearer {token}"}
    url = up.address("API")
    wait_until(
        lambda: httpx.get(f"{url}/readyz", trust_env=False).status_code == 200, PATIENCE, what="readiness"
    )
    answer = httpx.post(
        f"{url}/v1/connections/demo-plant/syncs",
        json={"streams": ["sites"]},
        headers=headers,
        trust_env=False,
    )
    assert answer.status_code == 202
    run_url = url + answer.json()["runs"][0]["url"]
    wait_until(
        lambda: httpx.get(run_url, headers=headers, trust_env=False).json()["state"] == "succeeded",
        PATIENCE,
        what="the run asked for",
    )


def _look_at_webhooks(up: Up) -> None:
    """The demo tells of its changes, and they are in the copy before the next poll."""
    assert (up.home / "demo-webhook-secret").stat().st_mode & 0o077 == 0
    token = (up.home / "api-token-test").read_text().strip()
    asked = {"headers": {"Authorization": f"Bearer {token}"}, "params": {"state": "done"}, "trust_env": False}
    events = wait_until(
        lambda: httpx.get(f"{up.address('API')}/v1/events", **asked).json()["events"],
        PATIENCE,
        what="an event that is done",
    )
    assert {event["outcome"] for event in events} <= {"created", "updated", "deleted", "unchanged", "older"}


def _look_at_flower(up: Up) -> None:
    url = up.address("Flower")
    login = ("headrace", (up.home / "flower-password").read_text().strip())
    for path in ("/", "/tasks", "/broker", "/api/workers", "/api/tasks"):
        assert httpx.get(url + path, trust_env=False).status_code == 401, path
    assert httpx.get(f"{url}/metrics", auth=login, trust_env=False).status_code == 404
    assert "sync.demo" in httpx.get(f"{url}/broker", auth=login, trust_env=False).text
    tasks = wait_until(
        lambda: httpx.get(f"{url}/api/tasks", auth=login, trust_env=False).json(),
        PATIENCE,
        what="tasks in Flower",
    )
    for task in tasks.values():
        assert task["name"] == "headrace.run"
        assert re.fullmatch(r"\('[0-9a-f-]{36}',\)|\['[0-9a-f-]{36}'\]", task["args"]), task["args"]
        assert task["kwargs"] in {"{}", None}
    worker = next(iter(httpx.get(f"{url}/api/workers?refresh=1", auth=login, trust_env=False).json()))
    refused = httpx.post(f"{url}/api/worker/shutdown/{worker}", auth=login, trust_env=False)
    assert refused.status_code == 403
    assert httpx.get(url.removesuffix("/flower") + "/metrics", auth=login, trust_env=False).status_code == 404
    _look_at_flower_behind_the_login(up, worker, next(iter(tasks)))


def _look_at_flower_behind_the_login(up: Up, worker: str, task: str) -> None:
    """With a token, and as a browser with the cookie that it gets for one; only what looks is there."""
    api = up.address("API")
    token = (up.home / "api-token").read_text().strip()
    with httpx.Client(base_url=api, trust_env=False) as client:
        assert client.get("/flower/tasks").status_code == 401
        client.post("/v1/session", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
        assert client.get("/flower").headers["location"] == "/flower/"
        home = client.get("/flower/")
        assert home.status_code == 200
        assert worker in home.text
        assert "set-cookie" not in home.headers
        inline = re.findall(r"<script[^>]*>([^<]+)</script>", home.text)
        for script in inline:
            digest = b64encode(sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in home.headers["content-security-policy"]
        assert "unsafe-inline" not in home.headers["content-security-policy"].partition("style-src")[0]
        needed = re.findall(r'(?:src|href)="(/flower/[^"?]+)', home.text)
        assert needed
        for path in [
            *needed,
            "/flower/tasks",
            "/flower/broker",
            f"/flower/worker/{worker}",
            f"/flower/task/{task}",
        ]:
            if "logout" not in path:
                assert client.get(path).status_code == 200, path
        form = {
            "draw": "1", "start": "0", "length": "10", "search[value]": "", "order[0][column]": "7",
            "order[0][dir]": "desc", "columns[7][data]": "started",
        }  # fmt: skip
        listed = client.post("/flower/tasks/datatable", data=form, headers={"Origin": api})
        assert task in listed.text, "as its page asks"
        assert client.get("/flower/api/workers?refresh=1").status_code == 200
        for path in (
            "metrics",
            "healthcheck",
            "login",
            "logout",
            "static/../metrics",
            "static/%2e%2e/metrics",
        ):
            assert client.get(f"/flower/{path}").status_code == 404, path
        origin = {"Origin": api}
        refused = client.post(f"/flower/api/worker/shutdown/{worker}", headers=origin)
        assert refused.status_code == 405


def _look_at_the_command_lines(up: Up) -> None:
    """Whoever may list processes may not learn a secret."""
    secrets = [path.read_text().strip() for path in up.home.glob("*-password")]
    secrets += [
        (up.home / name).read_text().strip() for name in ("api-token", "api-token-test", "demo-token")
    ]
    assert len(secrets) == 6
    lines = " ".join(
        " ".join(process.cmdline()) for process in [psutil.Process(up.process.pid), *up.children()]
    )
    logs = " ".join(path.read_text(errors="replace") for path in (up.home / "log").iterdir())
    for secret in secrets:
        assert secret not in lines
        assert secret not in logs
        assert secret not in up.text
    for name in ("api", "beat", "worker-main", "worker-bulk", "up"):
        text = (up.home / "log" / f"{name}.log").read_text()
        assert all(json.loads(line)["event"] for line in text.splitlines()), name


def _kill_a_part(up: Up) -> None:
    victim = up.part("beat")
    victim.kill()
    wait_until(lambda: "beat runs again" in up.text, PATIENCE, what="the restart of beat")
    assert up.part("beat").pid != victim.pid


@pytest.mark.slow
def test_after_a_kill_of_everything_the_next_start_goes_on_with_all_that_was_there(tmp_path: Path) -> None:
    first = Up(tmp_path / "home", tmp_path, HEADRACE_LEASE="15")
    wait_until(lambda: first.says("synced, all"), 100, what="the first sync")
    before = _records_held(first)
    killed = [*first.children(), psutil.Process(first.process.pid)]
    for process in killed:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    first.process.wait(10)
    second = Up(first.home, tmp_path, HEADRACE_LEASE="15")
    try:
        wait_until(lambda: second.says("synced, all"), 100, what="the sync after the kill")
        assert _records_held(second) >= before > 0
        wait_until(lambda: not _held_by(second, killed), 60, what="the lease of what was amid its work")
    finally:
        second.stop()
    assert second.process.returncode == 0, second.text


def _records_held(up: Up) -> int:
    url = json.loads((up.home / "endpoints.json").read_text())["database_url"]
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM records").fetchone()
    assert row is not None
    return int(row[0])


def _held_by(up: Up, killed: list[psutil.Process]) -> list[dict[str, Any]]:
    """The demo system tells of changes at any time, so that a run of events may have been at work when all was killed."""
    running = up.command("runs", "--state", "running", "--json").stdout
    return [run for run in json.loads(running) if run["worker"] and _is_of(run["worker"], killed)]


def _is_of(worker: str, processes: list[psutil.Process]) -> bool:
    return int(worker.rpartition(":")[2]) in {process.pid for process in processes}


def test_a_port_in_use_ends_the_start_with_its_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        up = Up(tmp_path / "home", tmp_path, "--port", str(port))
        assert up.process.wait(30) == 1
    assert str(port) in up.text
    assert "HEADRACE_PORT" in up.text
    assert "Starting" not in up.text


def test_the_parts_serve_a_worker_folder_of_the_users_own(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    """`headrace worker` runs both lanes, and both end with it."""
    (tmp_path / "worker.py").write_text("raise SystemExit('the users own worker')")
    (tmp_path / "scheduler.py").write_text("raise SystemExit('the users own scheduler')")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment = kept | {
        "HEADRACE_HOME": str(tmp_path / "home"), "HEADRACE_DATABASE_URL": database_url,
        "HEADRACE_BROKER_URL": broker_url, "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = [sys.executable, "-P", "-m", "scheduler.cli"]
    subprocess.run(
        [*command, "migrate"], env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=60
    )
    with (tmp_path / "worker.out").open("wb") as out:
        process = subprocess.Popen(
            [*command, "worker"], env=environment, cwd=tmp_path, stdout=out, stderr=out
        )
    try:
        log = tmp_path / "worker.out"
        wanted = {"sync.demo", "sync.demo.bulk", "sync.demo.live", "write.demo"}

        def both_lanes_served() -> bool:
            workers = _workers(database_url)
            served = {queue for row in workers for queue in row[0]}
            return wanted <= served and len(workers) == len(psutil.Process(process.pid).children())

        wait_until(
            lambda: process.poll() is not None or both_lanes_served(), PATIENCE, what="workers of both lanes"
        )
        assert process.poll() is None, log.read_text()
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert _workers(database_url) == []


def _workers(database_url: str) -> list[Any]:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT queues FROM processes WHERE kind = 'worker'").fetchall()
