"""Which systems there are, also when a user's manifest is broken."""

from pathlib import Path

import pytest

from worker.connectors.registry import Registry
from worker.errors import NotFound

OWN = """\
manifest: 1
system: {name}
title: Ours
protocol: rest
base_url: https://ours.example.com
streams:
  parts: {{path: /parts, records: "", key: id}}
"""


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name / "manifest.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_a_hook_that_can_not_be_loaded_is_a_problem_of_its_system_alone(tmp_path: Path) -> None:
    put(tmp_path, "ours", OWN.format(name="ours"))
    broken = put(tmp_path, "theirs", OWN.format(name="theirs") + "hook: hook.py\n")
    broken.with_name("hook.py").write_text("import sys\nsys.exit(3)\n")
    registry = Registry.load([tmp_path])
    assert "ours" in registry.systems()
    assert [(str(error.place), error.code) for _, error in registry.problems()] == [
        (f"{broken.with_name('hook.py')}:2", "bad_hook")
    ]


def test_the_catalog_and_folders_of_the_user_are_one(tmp_path: Path) -> None:
    put(tmp_path, "ours", OWN.format(name="ours"))
    registry = Registry.load([tmp_path])
    assert {"demo", "tryton", "ours"} <= set(registry.systems())
    assert registry.get("ours").stream_names == ["parts"]
    assert registry.problems() == []


def test_a_broken_manifest_is_a_problem_and_not_the_end(tmp_path: Path) -> None:
    broken = put(tmp_path, "broken", OWN.format(name="broken").replace("title", "titel"))
    put(tmp_path, "ours", OWN.format(name="ours"))
    registry = Registry.load([tmp_path])
    assert "broken" not in registry.systems()
    assert "ours" in registry.systems()
    ((path, error),) = registry.problems()
    assert path == broken
    assert error.place == f"{broken}:3"
    assert error.hint == "Did you mean 'title'?"


def test_a_user_cannot_replace_a_system_that_comes_with_headrace(tmp_path: Path) -> None:
    put(tmp_path, "demo", OWN.format(name="demo"))
    registry = Registry.load([tmp_path])
    assert registry.get("demo").title == "Demo CMMS"
    assert [error.code for _, error in registry.problems()] == ["double_system"]


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert [error.code for _, error in Registry.load([tmp_path / "none"]).problems()] == ["no_folder"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"[]", b"a: &x [*x]", b"\x00" * 100, b"x" * (2 << 20)])
def test_any_file_for_a_manifest_is_at_most_a_problem(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, "odd", "").write_bytes(content)
    assert len(Registry.load([tmp_path]).problems()) == 1


def test_an_unknown_system_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        Registry.load().get("trytn")
    assert (caught.value.code, caught.value.hint) == ("unknown_system", "Did you mean 'tryton'?")
