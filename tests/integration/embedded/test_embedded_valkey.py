"""The embedded Valkey survives kills and broken data, and shows its password to nobody."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from servers.ownership import home_of_ordinary_user, run_as_ordinary_user
from servers.waiting import wait_until

from scheduler.embedded.supervisor.processes import processes_in
from scheduler.embedded.valkey import EmbeddedValkey
from worker.errors import NeedsOperator

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home \"of\" 'ü'"


@pytest.fixture
def valkey(home: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(home)
    yield server
    server.stop()
    assert not list(processes_in(server.data, "valkey-server"))


def put(url: str, key: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.set(key, "here")


def keys(url: str) -> list[bytes]:
    with redis.Redis.from_url(url) as client:
        return sorted(client.keys())


def kill(valkey: EmbeddedValkey) -> None:
    assert valkey.child is not None
    os.kill(valkey.child.pid, signal.SIGKILL)
    assert valkey.child.wait(5)


def newest_log_part(valkey: EmbeddedValkey) -> Path:
    return max((valkey.data / "appendonlydir").glob("*.incr.aof"))


def test_it_comes_back_with_its_keys_on_the_same_url(valkey: EmbeddedValkey) -> None:
    url = valkey.start()
    put(url, "kept")
    valkey.stop()
    assert not valkey.alive
    assert valkey.start() == url
    assert keys(url) == [b"kept"]


def test_killed_it_starts_again_at_once(valkey: EmbeddedValkey, home: Path) -> None:
    url = valkey.start()
    put(url, "kept")
    wait_until(lambda: b"kept" in newest_log_part(valkey).read_bytes(), what="the append-only file")
    assert valkey.child is not None
    os.kill(valkey.child.pid, signal.SIGKILL)
    assert EmbeddedValkey(home).start() == url
    assert keys(url) == [b"kept"]


def test_a_second_start_on_a_living_home_takes_the_server_over(valkey: EmbeddedValkey, home: Path) -> None:
    url = valkey.start()
    second = EmbeddedValkey(home)
    assert second.start() == url
    assert second.child is not None
    assert valkey.child is not None
    assert second.child.pid == valkey.child.pid


def test_a_cut_off_last_command_is_dropped(valkey: EmbeddedValkey) -> None:
    url = valkey.start()
    put(url, "whole")
    put(url, "cut off")
    wait_until(lambda: b"cut off" in newest_log_part(valkey).read_bytes(), what="the append-only file")
    kill(valkey)
    log = newest_log_part(valkey)
    log.write_bytes(log.read_bytes()[:-5])
    valkey.start()
    assert keys(url) == [b"whole"]


def test_data_that_cannot_be_read_is_set_aside(valkey: EmbeddedValkey, home: Path) -> None:
    """It only wakes people up: the truth is in Postgres."""
    url = valkey.start()
    put(url, "lost")
    wait_until(lambda: b"lost" in newest_log_part(valkey).read_bytes(), what="the append-only file")
    kill(valkey)
    log = newest_log_part(valkey)
    log.write_bytes(b"*3\r\nutter nonsense\r\n" + log.read_bytes())
    assert valkey.start() == url
    assert keys(url) == []
    assert (home / "valkey-broken" / "appendonlydir").is_dir()


def test_deleted_data_is_no_hindrance(valkey: EmbeddedValkey) -> None:
    url = valkey.start()
    put(url, "lost")
    wait_until(lambda: b"lost" in newest_log_part(valkey).read_bytes(), what="the append-only file")
    kill(valkey)
    for path in (valkey.data / "appendonlydir").iterdir():
        path.unlink()
    assert valkey.start() == url
    assert keys(url) == []


def test_the_password_is_needed_kept_private_and_seen_nowhere(valkey: EmbeddedValkey, home: Path) -> None:
    url = valkey.start()
    password = (home / "valkey-password").read_text().strip()
    assert stat.S_IMODE((home / "valkey-password").stat().st_mode) == 0o600
    with pytest.raises(redis.AuthenticationError), redis.Redis.from_url(url.replace(password, "x")) as client:
        client.ping()
    assert valkey.child is not None
    process = psutil.Process(valkey.child.pid)
    assert password not in " ".join(process.cmdline())
    assert password not in " ".join(process.environ().values())
    assert password not in valkey.log_file.read_text()


def test_it_never_evicts_and_listens_on_loopback_only(valkey: EmbeddedValkey) -> None:
    with redis.Redis.from_url(valkey.start(), decode_responses=True) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        assert client.config_get("append*") | {
            "appendonly": "yes",
            "appendfsync": "everysec",
        } == client.config_get("append*")


def test_a_fixed_port_in_use_is_named_with_its_setting(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NeedsOperator, match=rf"{port}.*HEADRACE_VALKEY_PORT"):
            EmbeddedValkey(home, port=port).start()


def test_a_server_on_another_port_than_wanted_is_moved(valkey: EmbeddedValkey, home: Path) -> None:
    first = valkey.start()
    put(first, "kept")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    moved = EmbeddedValkey(home, port=port)
    assert moved.start().endswith(f":{port}/0")
    assert keys(moved.url) == [b"kept"]
    assert not valkey.alive
    moved.stop()


def test_an_ordinary_user_has_one_too() -> None:
    code = """
import sys, os
from pathlib import Path
from scheduler.embedded.valkey import EmbeddedValkey
server = EmbeddedValkey(Path(sys.argv[1]) / ".headrace")
server.start()
print(os.geteuid(), server.ready())
server.stop()
assert not server.alive
"""
    with home_of_ordinary_user() as folder:
        done = run_as_ordinary_user(code, str(folder))
        assert done.stdout.split() == ["65534", "True"], done.stderr
