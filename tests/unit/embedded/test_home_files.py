"""Passwords, endpoints, logs and the lock of a home: private, whole or not there."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.embedded.endpoints import clear_endpoints, hold_home, read_endpoints, write_endpoints
from scheduler.embedded.private_files import kept_password, make_private_folder, write_private
from scheduler.embedded.supervisor import part_log
from scheduler.embedded.supervisor.part_log import ROTATE_AT, last_lines, open_log
from worker.config import Settings
from worker.errors import NeedsOperator

URLS = {
    "database_url": "postgresql://u:p@127.0.0.1:1/d",
    "broker_url": "redis://:p@127.0.0.1:2/0",
    "api_url": "http://x",
}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_password_is_made_once_and_readable_by_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "password"
    first = kept_password(path)
    assert kept_password(path) == first
    assert len(first) >= 32
    assert mode(path) == 0o600


def test_a_password_needs_no_quoting_in_a_url(tmp_path: Path) -> None:
    for number in range(50):
        password = kept_password(tmp_path / str(number))
        assert set(password) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_a_private_file_is_replaced_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("public before")
    path.chmod(0o644)
    write_private(path, "private now")
    assert (path.read_text(), mode(path)) == ("private now", 0o600)
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_a_folder_of_the_user_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    make_private_folder(folder)
    assert mode(folder) == 0o755
    assert mode(make_private_folder(tmp_path / "ours")) == 0o700


def test_a_home_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NeedsOperator, match="HEADRACE_HOME"):
        make_private_folder(tmp_path / "file" / "home")


def test_other_commands_learn_the_urls_from_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_endpoints(home, URLS)
    assert mode(home / "endpoints.json") == 0o600
    assert read_endpoints(home) == URLS
    settings = Settings(home=home)
    assert settings.require_database_url() == URLS["database_url"]
    assert settings.require_broker_url() == URLS["broker_url"]
    clear_endpoints(home)
    clear_endpoints(home)
    assert read_endpoints(home) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"'])
def test_endpoints_that_are_no_use_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "endpoints.json").write_text(text)
    assert read_endpoints(tmp_path) == {}


def test_endpoints_are_plain_json(tmp_path: Path) -> None:
    write_endpoints(tmp_path, URLS)
    assert json.loads((tmp_path / "endpoints.json").read_text()) == URLS


def test_a_home_has_one_holder_at_a_time(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with hold_home(home), pytest.raises(NeedsOperator, match="is using") as caught, hold_home(home):
        pass
    assert caught.value.code == "home_in_use"
    assert "HEADRACE_HOME" in str(caught.value)
    with hold_home(home):
        pass


def test_a_child_cannot_keep_the_home_held(tmp_path: Path) -> None:
    with hold_home(tmp_path):
        child = subprocess.Popen(
            [sys.executable, "-c", "print(1, flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            close_fds=False,
        )
        assert child.stdout is not None
        child.stdout.readline()  # it runs: what closes when a program is begun has been closed
    with child, hold_home(tmp_path):
        pass


def test_a_log_grows_until_it_is_big_and_is_then_set_aside(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        with open_log(tmp_path, "worker") as log:
            log.write(text)
    path = tmp_path / "log" / "worker.log"
    assert path.read_text() == "one\ntwo\n"
    assert mode(path) == 0o600
    path.write_bytes(b"x" * (ROTATE_AT + 1))
    open_log(tmp_path, "worker").close()
    assert path.stat().st_size == 0
    assert (tmp_path / "log" / "worker.log.1").stat().st_size == ROTATE_AT + 1


def test_the_last_lines_are_those_after_a_place_and_survive_broken_text(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old\n\xff new\nlast\n")
    assert last_lines(path, since=4) == "\ufffd new\nlast"
    assert last_lines(path, count=1) == "last"
    assert last_lines(path, since=1000) == ""
    assert last_lines(tmp_path / "none") == ""


def test_a_log_that_grows_too_long_is_set_aside_under_its_writers_feet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_log, "ROTATE_LIVE_AT", 10)
    with open_log(tmp_path, "part") as log:
        path = part_log.log_path(tmp_path, "part")
        log.write(b"a long first line\n")
        log.flush()
        assert part_log.trim_log(path)
        log.write(b"second\n")
        log.flush()
        assert not part_log.trim_log(path)
    assert path.read_bytes() == b"second\n"
    aside = path.with_name("part.log.1")
    assert aside.read_bytes() == b"a long first line\n"
    assert aside.stat().st_mode & 0o077 == 0
