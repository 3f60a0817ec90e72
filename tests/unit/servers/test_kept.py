"""What tests keep between runs is made once, whole, and anew when its recipe changes."""

import os
import threading
from pathlib import Path

import pytest
from servers.kept import CouldNotMake, digest_of, kept, run
from servers.policy import require


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_TEST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_many_who_ask_at_once_make_it_once() -> None:
    made: list[Path] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        barrier.wait()
        kept("thing", made.append)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_what_was_left_half_made_is_thrown_away() -> None:
    def fail(folder: Path) -> None:
        (folder / "rest").touch()
        raise CouldNotMake("no network")

    with pytest.raises(CouldNotMake):
        kept("thing", fail)
    folder = kept("thing", lambda at: (at / "whole").touch())
    assert (folder / "whole").exists()
    assert not (folder / "rest").exists()


def test_what_is_too_old_is_made_anew() -> None:
    made: list[Path] = []
    folder = kept("thing", made.append)
    kept("thing", made.append, younger_than=60)
    os.utime(folder / ".whole", (0, 0))
    kept("thing", made.append, younger_than=60)
    assert len(made) == 2


def test_another_recipe_has_another_name() -> None:
    assert digest_of("a", "b") == digest_of("a", b"b")
    assert len({digest_of("ab"), digest_of("a", "b"), digest_of("b", "a")}) == 3


@pytest.mark.parametrize(
    ("command", "words"),
    [(["sh", "-c", "echo no such package; exit 3"], "no such package"), (["/no/such/program"], "program")],
)
def test_a_step_that_fails_says_why(command: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(CouldNotMake, match=words):
        run(command, folder=tmp_path)


def test_what_is_missing_is_skipped_by_people_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="get it so"):
        require("A thing is missing: get it so.")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"get it so.*no network"):
        require("A thing is missing: get it so.", cause="no network")
