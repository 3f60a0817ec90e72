"""What `headrace up` decides and shows, without starting anything."""

from pathlib import Path

import pytest

from scheduler.cli.commands.demo import UNWANTED_FILE, remove_files, wants_demo, webhook_secrets
from scheduler.cli.up.parts import Addresses
from scheduler.cli.up.run import _prepare_home, without_password
from scheduler.cli.up.screen import Progress, Screen
from worker.errors import NeedsOperator


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h:5432/d", "postgresql://u@h:5432/d"),
        ("postgresql://u:p%40w@h/d?password=secret", "postgresql://u@h/d"),
        ("redis://:p@h:6379/0", "redis://h:6379/0"),
        ("redis://h", "redis://h"),
        ("redis://:p@[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis://:p@h:port/0", "…"),
    ],
)
def test_urls_are_shown_without_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_the_demo_never_comes_beside_a_real_database_by_accident(tmp_path: Path) -> None:
    assert wants_demo(tmp_path, asked=None, embedded=True)
    assert not wants_demo(tmp_path, asked=None, embedded=False)
    assert wants_demo(tmp_path, asked=True, embedded=False)
    assert not wants_demo(tmp_path, asked=False, embedded=True)


def test_a_demo_that_was_removed_comes_back_only_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / UNWANTED_FILE).touch()
    assert not wants_demo(tmp_path, asked=None, embedded=True)
    assert wants_demo(tmp_path, asked=True, embedded=True)


def test_the_demo_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "log").mkdir()
    for name in ("demo/plant.journal", "demo-token", "demo-port", "log/demo.log", "api-token"):
        (tmp_path / name).touch()
    remove_files(tmp_path)
    remove_files(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["api-token", "log"]


def test_a_home_that_is_a_file_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(NeedsOperator, match="HEADRACE_HOME"):
        _prepare_home(tmp_path / "home")


def test_a_full_disk_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class _Usage:
        free = 1024

    monkeypatch.setattr("shutil.disk_usage", lambda _path: _Usage)
    with pytest.raises(NeedsOperator) as caught:
        _prepare_home(tmp_path)
    assert caught.value.code == "disk_full"


def test_an_ipv6_host_stands_in_brackets() -> None:
    assert Addresses("::1", 8787, 5555, None).api == "http://[::1]:8787"


def test_synced_is_said_when_every_stream_is_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.update([], Progress("demo-plant", 7, 3, 1200), "")
    screen.update([], Progress("demo-plant", 7, 7, 5050), "")
    screen.update([], Progress("demo-plant", 7, 7, 5051), "")
    assert capsys.readouterr().out.splitlines() == [
        "demo-plant: 3 of 7 streams synced, 1,200 records",
        "demo-plant: synced, all 7 streams, 5,050 records",
    ]


def test_a_connection_without_streams_is_never_synced() -> None:
    assert not Progress("x", 0, 0, 0).done


def test_the_secret_of_the_demos_webhooks_is_kept_and_each_line_of_it_signs(tmp_path: Path) -> None:
    (made,) = webhook_secrets(tmp_path)
    place = tmp_path / "demo-webhook-secret"
    assert place.stat().st_mode & 0o077 == 0
    place.write_text(f"{made}\nwhsec_bmV3\n")
    assert webhook_secrets(tmp_path) == (made, "whsec_bmV3")
    remove_files(tmp_path)
    assert not place.exists()
