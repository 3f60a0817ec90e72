"""A secret's file is replaced whole, with the rights that it had, and only where that is allowed."""

import stat
from pathlib import Path

import pytest

from worker.errors import NeedsOperator
from worker.secrets import Secret, is_writable, open_secret, remove_secret, replace_secret, write_secret


def test_a_new_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    reference = f"file://{tmp_path}/token"
    assert is_writable(reference)
    write_secret(reference, "planted-value")
    assert open_secret(reference).reveal() == "planted-value"
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_a_file_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("planted-before")
    (tmp_path / "token").chmod(0o640)
    write_secret(f"file://{tmp_path}/token", "planted-after")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o640


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("planted-before")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_secret(f"file://{tmp_path}/link", "planted-after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "planted-after"


def test_a_value_is_replaced_only_if_it_is_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("planted-one\n")
    reference = f"file://{tmp_path}/token"
    assert not replace_secret(reference, Secret("planted-zero"), Secret("planted-two"))
    assert replace_secret(reference, Secret("planted-one"), Secret("planted-two"))
    assert (tmp_path / "token").read_text() == "planted-two"


def test_what_can_not_be_written_is_said_before_and_when_it_is_tried(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "nowhere" / "token", Path("/dev/null/token")):
        assert not is_writable(f"file://{path}")
        with pytest.raises(NeedsOperator) as caught:
            write_secret(f"file://{path}", "planted-value")
        assert caught.value.code == "secret_not_writable"


def test_an_empty_value_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(NeedsOperator, match="an empty value"):
        write_secret(f"file://{tmp_path}/token", " \n")


def test_what_was_written_is_taken_away_and_doing_so_twice_is_harmless(tmp_path: Path) -> None:
    write_secret(f"file://{tmp_path}/token", "planted-value")
    for _ in range(2):
        remove_secret(f"file://{tmp_path}/token")
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(NeedsOperator, match="environment"):
        remove_secret("env://OF_A_SYSTEM")
