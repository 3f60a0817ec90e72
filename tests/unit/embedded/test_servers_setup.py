"""Where binaries are found, and what the servers are told."""

import os
from pathlib import Path

import pytest

from scheduler.embedded import binaries
from scheduler.embedded.binaries import find_postgres, find_valkey
from scheduler.embedded.postgres.cluster import server_settings
from scheduler.embedded.valkey import configuration
from worker.errors import NeedsOperator

GIB = 1024**3


def program(path: Path, answer: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


def postgres_of(folder: Path, version: int) -> Path:
    program(folder / "initdb", "")
    return program(folder / "postgres", f"postgres (PostgreSQL) {version}.3 (Debian)").parent


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_wheel_folder", lambda _package: None)


def test_a_setting_comes_before_the_wheel(tmp_path: Path) -> None:
    assert find_postgres(18, folder=postgres_of(tmp_path, 17)).version == 17


def test_the_wheel_comes_before_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres_of(tmp_path / "wheel" / "pginstall18" / "bin", 18)
    monkeypatch.setattr(binaries, "_wheel_folder", lambda _package: tmp_path / "wheel")
    monkeypatch.setenv("PATH", str(postgres_of(tmp_path / "system", 18)) + os.pathsep + os.environ["PATH"])
    assert find_postgres().folder == (tmp_path / "wheel" / "pginstall18" / "bin").resolve()


@pytest.mark.usefixtures("no_wheels")
def test_without_the_wheel_the_system_serves_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_postgres_folders", lambda _version: [postgres_of(tmp_path / "new", 17)])
    assert find_postgres(18).version == 17
    with pytest.raises(NeedsOperator, match="Postgres 18 is not installed"):
        find_postgres(18, exact=True)
    monkeypatch.setattr(binaries, "_postgres_folders", lambda _version: [postgres_of(tmp_path / "old", 15)])
    with pytest.raises(NeedsOperator, match=r"pip install 'headrace\[embedded\]'.*HEADRACE_DATABASE_URL"):
        find_postgres(18)


def test_a_folder_that_holds_no_postgres_is_named(tmp_path: Path) -> None:
    with pytest.raises(NeedsOperator, match=str(tmp_path)):
        find_postgres(folder=tmp_path)


def test_a_program_that_does_not_run_here_is_no_postgres(tmp_path: Path) -> None:
    """A wheel of another architecture, say."""
    folder = postgres_of(tmp_path, 18)
    (folder / "postgres").write_bytes(b"\x7fELF nonsense")
    with pytest.raises(NeedsOperator):
        find_postgres(folder=folder)


@pytest.mark.usefixtures("no_wheels")
def test_redis_of_the_system_serves_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    server = program(tmp_path / "redis-server", "Redis server v=7.0.15 sha=00000000:0")
    assert find_valkey() == server.resolve()
    program(server, "Redis server v=6.2.14 sha=00000000:0")
    with pytest.raises(NeedsOperator, match=r"pip install 'headrace\[embedded\]'.*HEADRACE_BROKER_URL"):
        find_valkey()


def test_postgres_keeps_what_it_was_told_unless_it_is_for_tests() -> None:
    real = server_settings(5432, fast=False)
    assert (real["synchronous_commit"], real.get("fsync", "on"), real.get("full_page_writes", "on")) == (
        "on",
    ) * 3
    assert (real["listen_addresses"], real["unix_socket_directories"], real["port"]) == (
        "127.0.0.1",
        "",
        "5432",
    )
    assert server_settings(5432, fast=True)["fsync"] == "off"


def test_postgres_takes_less_memory_on_a_small_machine() -> None:
    assert server_settings(1, fast=False, memory=2 * GIB)["shared_buffers"] == "128MB"
    assert server_settings(1, fast=False, memory=1 * GIB)["shared_buffers"] == "128MB"
    assert server_settings(1, fast=False, memory=8 * GIB)["shared_buffers"] == "512MB"
    assert server_settings(1, fast=False, memory=256 * GIB)["shared_buffers"] == "1024MB"


def test_postgres_has_connections_for_the_workers_of_every_cpu() -> None:
    assert server_settings(1, fast=False, cpus=2)["max_connections"] == "100"
    assert server_settings(1, fast=False, cpus=64)["max_connections"] == "552"


def test_no_folder_name_can_smuggle_a_setting_into_the_configuration() -> None:
    text = configuration(6379, Path('/home/"x"\nappendonly no\\'), "pw")
    assert text.count("\n") == len(text.splitlines())
    assert [line for line in text.splitlines() if line.startswith("appendonly")] == ["appendonly yes"]
    assert 'dir "/home/\\x22x\\x22\\x0aappendonly no\\x5c"' in text
