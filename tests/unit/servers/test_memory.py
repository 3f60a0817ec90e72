"""The folder in memory that the servers of a test session work in."""

import os
from pathlib import Path

import pytest
from servers import memory
from servers.memory import PREFIX, memory_folder


def test_it_is_gone_at_the_end_and_so_is_what_a_killed_session_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "ROOM", 0)
    dead, alive = tmp_path / f"{PREFIX}4194999-x", tmp_path / f"{PREFIX}{os.getppid()}-x"
    dead.mkdir()
    alive.mkdir()
    with memory_folder(tmp_path / "disk", memory=tmp_path) as folder:
        assert folder.parent == tmp_path
        (folder / "file").touch()
    assert list(tmp_path.iterdir()) == [alive]


def test_without_room_in_memory_the_disk_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "ROOM", 10**18)
    with memory_folder(tmp_path / "disk", memory=tmp_path) as folder:
        assert folder == tmp_path / "disk"
    with memory_folder(tmp_path / "disk", memory=tmp_path / "nowhere") as folder:
        assert folder == tmp_path / "disk"
