"""The embedded Postgres survives what a laptop does to it, as root and as anybody else."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from servers.ownership import home_of_ordinary_user, run_as_ordinary_user
from servers.waiting import wait_until

from scheduler.embedded.binaries import find_postgres
from scheduler.embedded.postgres import residence
from scheduler.embedded.postgres.server import EmbeddedPostgres
from scheduler.embedded.supervisor.processes import Account, processes_in
from worker.errors import NeedsOperator

pytestmark = pytest.mark.integration
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root meets this")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def postgres(home: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home, fast=True)  # fsync is about power cuts, which no test here makes
    yield server
    server.delete()


def keep_rows(url: str, count: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT * FROM generate_series(1, %s) AS n", (count,))


def kept_rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
        assert row is not None
        return int(row[0])


def no_server_on(home: Path) -> bool:
    return not list(processes_in((home / "postgres").resolve(), "postgres"))


def test_it_comes_back_with_its_data_on_the_same_url(postgres: EmbeddedPostgres) -> None:
    url = postgres.start()
    keep_rows(url, 3)
    postgres.stop()
    assert not postgres.alive
    assert postgres.start() == url
    assert kept_rows(url) == 3


def test_a_second_start_on_a_living_home_takes_the_server_over(
    postgres: EmbeddedPostgres, home: Path
) -> None:
    url = postgres.start()
    second = EmbeddedPostgres(home, fast=True)
    assert second.start() == url
    assert second.child is not None
    assert postgres.child is not None
    assert second.child.pid == postgres.child.pid
    second.stop()
    assert not postgres.alive


@pytest.mark.parametrize("turn", [1, 2])
def test_killed_in_the_middle_of_work_it_starts_again_at_once(postgres: EmbeddedPostgres, turn: int) -> None:
    """No wait between the kill and the start: backends still hold the memory, the pid file still names the dead."""
    url = postgres.start()
    keep_rows(url, 1000)
    assert postgres.child is not None
    with closing(psycopg.connect(url)) as open_transaction:
        open_transaction.execute("INSERT INTO kept VALUES (-1)")
        os.kill(postgres.child.pid, signal.SIGKILL)
        assert EmbeddedPostgres(postgres.home, fast=True).start() == url
        assert kept_rows(url) == 1000


@pytest.mark.parametrize("name", ["sleep", "postgres"])
def test_a_pid_file_that_names_a_stranger_by_now_hurts_neither(
    postgres: EmbeddedPostgres, home: Path, tmp_path: Path, name: str
) -> None:
    """Even one that happens to be called postgres."""
    url = postgres.start()
    keep_rows(url, 7)
    assert postgres.child is not None
    os.kill(postgres.child.pid, signal.SIGKILL)
    assert postgres.child.wait(5)
    wait_until(lambda: no_server_on(home), what="the end of the backends")
    program = tmp_path / name
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    stranger = subprocess.Popen([program, "300"])
    try:
        pid_file = home / "postgres" / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n" + pid_file.read_text().split("\n", 1)[1])
        again = EmbeddedPostgres(home, fast=True)
        again.start()
        assert kept_rows(again.url) == 7
        pid_file_now = int(pid_file.read_text().split("\n")[0])
        assert pid_file_now != stranger.pid
        again.stop()
        pid_file.write_text(f"{stranger.pid}\n")
        EmbeddedPostgres(home, fast=True).stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_that_is_just_stopping_is_waited_for(postgres: EmbeddedPostgres, home: Path) -> None:
    url = postgres.start()
    keep_rows(url, 5)
    assert postgres.child is not None
    os.kill(postgres.child.pid, signal.SIGINT)
    assert EmbeddedPostgres(home, fast=True).start() == url
    assert kept_rows(url) == 5


def test_a_server_that_hangs_is_replaced(postgres: EmbeddedPostgres, home: Path) -> None:
    url = postgres.start()
    keep_rows(url, 4)
    assert postgres.child is not None
    os.kill(postgres.child.pid, signal.SIGSTOP)
    assert EmbeddedPostgres(home, fast=True).start() == url
    assert kept_rows(url) == 4
    assert not postgres.alive


def test_a_taken_port_is_left_to_its_owner(postgres: EmbeddedPostgres) -> None:
    url = postgres.start()
    keep_rows(url, 2)
    postgres.stop()
    with socket.create_server(("127.0.0.1", int(conninfo_to_dict(url)["port"] or 0))):
        other_url = postgres.start()
    assert other_url != url
    assert kept_rows(other_url) == 2


def test_a_fixed_port_in_use_is_named_with_its_setting(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = EmbeddedPostgres(home, port=port)
        with pytest.raises(NeedsOperator, match=rf"{port}.*HEADRACE_POSTGRES_PORT") as caught:
            server.start()
    assert caught.value.code == "port_in_use"
    server.delete()


def test_a_start_that_was_killed_half_way_leaves_nothing_that_hinders(
    postgres: EmbeddedPostgres, home: Path
) -> None:
    draft = home / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    postgres.start()
    assert postgres.ready()
    assert not draft.exists()


def test_the_password_is_needed_kept_private_and_seen_nowhere(postgres: EmbeddedPostgres, home: Path) -> None:
    url = postgres.start()
    password = (home / "postgres-password").read_text().strip()
    assert stat.S_IMODE((home / "postgres-password").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password, "wrong"))
    assert postgres.child is not None
    assert password not in " ".join(psutil.Process(postgres.child.pid).cmdline())
    assert password not in postgres.log_file.read_text()
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == []


def test_a_lost_password_is_said_and_the_data_left_alone(postgres: EmbeddedPostgres, home: Path) -> None:
    postgres.start()
    postgres.stop()
    kept = (home / "postgres-password").read_text()
    (home / "postgres-password").unlink()
    with pytest.raises(NeedsOperator, match="password file") as caught:
        postgres.start()
    assert caught.value.code == "embedded_password"
    (home / "postgres-password").write_text(kept)
    postgres.start()


def test_a_wrong_password_is_said(postgres: EmbeddedPostgres, home: Path) -> None:
    postgres.start()
    postgres.stop()
    (home / "postgres-password").write_text("not-it\n")
    with pytest.raises(NeedsOperator, match="refuses the password"):
        postgres.start()


def test_neither_statements_nor_values_reach_the_log(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE private (word text PRIMARY KEY)")
        connection.execute("INSERT INTO private VALUES ('planted-secret')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO private VALUES ('planted-secret')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO private VALUES (%s)", ("planted-secret",))
    assert "duplicate key" in postgres.log_file.read_text()
    assert "planted-secret" not in postgres.log_file.read_text()


def test_it_listens_on_loopback_only_and_knows_utf8(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.start()) as connection:
        settings = {
            name: connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            for name in ("listen_addresses", "unix_socket_directories", "server_encoding")
        }
    assert [value[0] for value in settings.values() if value] == ["127.0.0.1", "", "UTF8"]


def test_data_made_by_16_is_opened_by_16(postgres: EmbeddedPostgres, home: Path) -> None:
    """Whatever version new homes get."""
    keep_rows(EmbeddedPostgres(home, version=16, fast=True).start(), 4)
    EmbeddedPostgres(home, version=16, fast=True).stop()
    url = postgres.start()
    assert kept_rows(url) == 4
    with psycopg.connect(url) as connection:
        assert connection.info.server_version // 10000 == 16


def test_binaries_that_do_not_fit_the_data_are_refused(postgres: EmbeddedPostgres, home: Path) -> None:
    postgres.start()
    postgres.stop()
    with pytest.raises(NeedsOperator, match="made by Postgres 18"):
        EmbeddedPostgres(home, binaries=find_postgres(16).folder).start()


def test_it_is_closed_properly_when_its_owner_is_killed(postgres: EmbeddedPostgres, home: Path) -> None:
    code = "import sys; from pathlib import Path; from scheduler.embedded.postgres.server import EmbeddedPostgres\n"
    code += "print(EmbeddedPostgres(Path(sys.argv[1]), fast=True).start(), flush=True); sys.stdin.read()"
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": os.environ["PATH"]},
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        keep_rows(url, 9)
        owner.kill()
    if sys.platform == "linux":
        wait_until(lambda: no_server_on(home), what="the end of the server")
        assert "received fast shutdown request" in postgres.log_file.read_text()
    assert postgres.start() == url
    assert kept_rows(url) == 9


def test_many_starts_of_different_homes_at_once_work(tmp_path: Path) -> None:
    servers = [EmbeddedPostgres(tmp_path / f"home {n} 'ü'", fast=True) for n in range(3)]
    try:
        with ThreadPoolExecutor(3) as pool:
            # The servers end with the thread that started them, so ask while the pool lives.
            urls = list(pool.map(EmbeddedPostgres.start, servers))
            assert len(set(urls)) == 3
            assert all(server.ready() for server in servers)
    finally:
        for server in servers:
            server.delete()


def test_an_ordinary_user_has_one_too() -> None:
    code = """
import sys, os
from pathlib import Path
from scheduler.embedded.postgres.server import EmbeddedPostgres
import psycopg
server = EmbeddedPostgres(Path(sys.argv[1]) / ".headrace", fast=True)
with psycopg.connect(server.start()) as connection:
    print(os.geteuid(), connection.execute("SELECT 6 * 7").fetchone()[0])
server.stop()
assert not server.alive
"""
    with home_of_ordinary_user() as folder:
        done = run_as_ordinary_user(code, str(folder))
        assert done.stdout.split() == ["65534", "42"], done.stderr
        assert no_server_on(folder / ".headrace")


@as_root
class TestAsRoot:
    @pytest.fixture
    def only_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where user namespaces are forbidden, as in Docker."""
        monkeypatch.setattr(residence, "_account_beside_root", lambda: Account("65534:65534", 65534, 65534))

    @pytest.mark.usefixtures("only_nobody")
    def test_data_of_nobody_lives_where_it_can_reach_it(
        self, postgres: EmbeddedPostgres, home: Path, tmp_path: Path
    ) -> None:
        """The folders of people keep their modes."""
        modes = [(path, path.stat().st_mode) for path in (tmp_path, *tmp_path.parents)]
        url = postgres.start()
        keep_rows(url, 6)
        data = (home / "postgres").resolve()
        assert data.is_relative_to("/var/lib/headrace")
        assert data.stat().st_uid == 65534
        assert stat.S_IMODE(data.parent.stat().st_mode) == 0o700
        assert postgres.child is not None
        assert psutil.Process(postgres.child.pid).uids().real == 65534
        assert [(path, path.stat().st_mode) for path, _ in modes] == modes
        postgres.stop()
        assert postgres.start() == url
        assert kept_rows(url) == 6
        postgres.delete()
        assert not data.parent.exists()

    def test_in_a_private_folder_of_somebody_else_it_lives_elsewhere(self) -> None:
        """Root in a user namespace is no longer let through folders that aren't root's."""
        with home_of_ordinary_user() as folder:
            mode = folder.stat().st_mode
            server = EmbeddedPostgres(folder / ".headrace", fast=True)
            try:
                keep_rows(server.start(), 3)
                data = (folder / ".headrace" / "postgres").resolve()
                assert not data.is_relative_to(folder)
                assert folder.stat().st_mode == mode
            finally:
                server.delete()
            assert not data.parent.exists()

    def test_data_follows_when_namespaces_are_forbidden_later(
        self, request: pytest.FixtureRequest, postgres: EmbeddedPostgres, home: Path
    ) -> None:
        keep_rows(postgres.start(), 8)
        postgres.stop()
        request.getfixturevalue("only_nobody")
        assert kept_rows(postgres.start()) == 8
        assert (home / "postgres").resolve().stat().st_uid == 65534

    @pytest.mark.usefixtures("only_nobody")
    def test_binaries_that_nobody_can_reach_are_copied(self, home: Path, tmp_path: Path) -> None:
        installation = find_postgres(18).folder.parent
        package = installation.parent
        hidden = tmp_path / "venv" / package.name / installation.name
        shutil.copytree(installation, hidden)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, tmp_path / "venv" / libraries.name)
        server = EmbeddedPostgres(home, binaries=hidden / "bin", fast=True)
        try:
            server.start()
            assert server.child is not None
            assert "postgres-binaries-18" in psutil.Process(server.child.pid).cmdline()[0]
        finally:
            server.delete()

    def test_data_of_an_ordinary_user_stays_theirs(self) -> None:
        """`sudo headrace up` in a user's folder must not lock the user out."""
        with home_of_ordinary_user() as folder:
            code = "import sys; from pathlib import Path; from scheduler.embedded.postgres.server import EmbeddedPostgres\n"
            code += "s = EmbeddedPostgres(Path(sys.argv[1]), fast=True); s.start(); s.stop()"
            first = run_as_ordinary_user(code, str(folder))
            assert first.returncode == 0, first.stderr
            server = EmbeddedPostgres(folder)
            server.start()
            server.stop()
            again = run_as_ordinary_user(code, str(folder))
            assert again.returncode == 0, again.stderr

    def test_an_ordinary_user_is_told_whose_data_it_is(self) -> None:
        with home_of_ordinary_user() as folder:
            (folder / "postgres").mkdir(mode=0o700)
            code = "import sys; from pathlib import Path; from scheduler.embedded.postgres.server import EmbeddedPostgres\n"
            code += "EmbeddedPostgres(Path(sys.argv[1]), fast=True).start()"
            told = run_as_ordinary_user(code, str(folder))
        assert told.returncode != 0
        assert "belongs to another user (uid 0)" in told.stderr

    def test_data_that_is_gone_is_not_silently_made_anew(self, home: Path, tmp_path: Path) -> None:
        home.mkdir()
        (home / "postgres").symlink_to(tmp_path / "unmounted" / "postgres")
        with pytest.raises(NeedsOperator, match="not there"):
            EmbeddedPostgres(home, fast=True).start()
