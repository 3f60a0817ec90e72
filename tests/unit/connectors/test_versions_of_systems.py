"""Which version of a system is used: files that change, files that break, files that go, and what connections are pinned to."""

import os
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from worker.connectors.registry import Edition, Registry, places
from worker.errors import InvalidInput, NotFound

OWN = """\
manifest: 1
system: ours
version: {version}
title: Ours
protocol: rest
base_url: https://ours.example.com
streams:
  parts: {{path: /parts, records: "", key: {key}, incremental: {{field: {field}, param: since}}}}
"""
_TICKS = count(1_000_000, 1_000_000)


def put(
    folder: Path, *, version: str = "1.0.0", key: str = "id", field: str = "changed", name: str = "ours"
) -> Path:
    path = folder / name / "manifest.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OWN.format(version=version, key=key, field=field).replace("ours", name))
    stamp = path.stat().st_mtime_ns + next(_TICKS)  # an edit within the clock's tick is an edit
    os.utime(path, ns=(stamp, stamp))
    return path


class Shelf:
    """What is kept, in memory."""

    def __init__(self, *editions: Edition) -> None:
        self.kept = {(each.system, each.version): each.kept for each in editions}

    def version(self, system: str, version: str) -> Mapping[str, Any] | None:
        kept = self.kept.get((system, version))
        return None if kept is None else {name: getattr(kept, name) for name in kept.__slots__}

    def latest(self, system: str) -> Mapping[str, Any] | None:
        versions = [version for name, version in self.kept if name == system]
        return self.version(system, versions[-1]) if versions else None


def edition(folder: Path) -> Edition:
    return Registry.load([folder]).edition("ours")


def test_what_comes_with_headrace_is_known_by_its_release_and_a_folder_by_its_content(tmp_path: Path) -> None:
    put(tmp_path, version="1.2.0")
    registry = Registry.load([tmp_path])
    assert registry.edition("tryton").version == registry.edition("tryton").release
    release, _, digest = registry.edition("ours").version.partition("+")
    assert (release, len(digest)) == ("1.2.0", 8)


def test_a_comment_makes_no_other_version(tmp_path: Path) -> None:
    path = put(tmp_path)
    before = edition(tmp_path).version
    path.write_text("# a word\n" + path.read_text())
    assert edition(tmp_path).version == before


def test_code_beside_the_manifest_is_part_of_the_version(tmp_path: Path) -> None:
    path = put(tmp_path)
    before = edition(tmp_path).version
    (path.parent / "more.py").write_text("LIMIT = 1\n")
    assert edition(tmp_path).version != before


def test_an_edited_file_is_taken_and_what_was_handed_out_stays(tmp_path: Path) -> None:
    put(tmp_path)
    registry = Registry.load([tmp_path])
    before = registry.get("ours")
    assert registry.look() == []
    put(tmp_path, version="1.1.0")
    assert registry.look() == ["ours"]
    assert registry.edition("ours").release == "1.1.0"
    assert registry.get("ours") is not before
    assert before.stream_names == ["parts"]


def test_a_system_that_is_added_comes_up_and_one_that_is_taken_away_goes(tmp_path: Path) -> None:
    registry = Registry.load([tmp_path])
    path = put(tmp_path)
    assert registry.look() == ["ours"]
    path.unlink()
    assert registry.look() == ["ours"]
    with pytest.raises(NotFound):
        registry.get("ours")


def test_a_file_that_breaks_leaves_the_last_good_version_in_use_and_is_told(tmp_path: Path) -> None:
    path = put(tmp_path)
    registry = Registry.load([tmp_path])
    good = registry.edition("ours")
    path.write_text(path.read_text().replace("title:", "titel:") + "\n")
    registry.look()
    assert registry.edition("ours") is good
    ((where, error),) = registry.problems()
    assert (where, error.place) == (path, f"{path}:4")
    put(tmp_path)
    registry.look()
    assert registry.problems() == []


def test_after_a_restart_the_last_good_version_is_the_one_that_is_kept(tmp_path: Path) -> None:
    path = put(tmp_path)
    good = edition(tmp_path)
    path.write_text("manifest: [\n")
    registry = Registry.load([tmp_path], shelf=Shelf(good))
    assert registry.get("ours", good.version).stream_names == ["parts"]
    assert registry.get("ours").stream_names == ["parts"]


def test_runs_of_a_system_that_never_was_good_are_told_the_file_and_the_line(tmp_path: Path) -> None:
    path = put(tmp_path)
    path.write_text(path.read_text().replace("title:", "titel:"))
    registry = Registry.load([tmp_path], shelf=Shelf())
    for version in (None, "1.0.0+00000000"):
        with pytest.raises(InvalidInput) as told:
            registry.get("ours", version)
        assert (told.value.code, told.value.place) == ("broken_system", f"{path}:4")
    assert "ours" in registry.named()
    assert registry.get("demo").title == "Demo CMMS"


def test_a_pin_outlives_its_file(tmp_path: Path) -> None:
    path = put(tmp_path)
    pinned = edition(tmp_path)
    path.unlink()
    registry = Registry.load([tmp_path], shelf=Shelf(pinned))
    assert registry.get("ours", pinned.version).stream_names == ["parts"]
    with pytest.raises(NotFound, match="There is no system"):
        registry.get("ours")


def test_another_release_in_the_file_changes_no_pin(tmp_path: Path) -> None:
    put(tmp_path, key="id")
    pinned = edition(tmp_path)
    put(tmp_path, version="2.0.0", key="number")
    registry = Registry.load([tmp_path], shelf=Shelf(pinned))
    assert registry.edition("ours", pinned.version).data["streams"]["parts"]["key"] == "id"
    assert registry.edition("ours").data["streams"]["parts"]["key"] == "number"


def test_an_edit_under_the_same_release_is_followed_where_what_is_kept_still_fits(tmp_path: Path) -> None:
    path = put(tmp_path)
    pinned = edition(tmp_path)
    path.write_text(path.read_text().replace("/parts", "/v2/parts"))
    registry = Registry.load([tmp_path], shelf=Shelf(pinned))
    assert registry.edition("ours", pinned.version) is registry.edition("ours")
    assert registry.problems() == []


@pytest.mark.parametrize("other", [{"key": "number"}, {"field": "touched"}])
def test_an_edit_that_nothing_kept_fits_is_not_followed_and_is_told(
    tmp_path: Path, other: dict[str, str]
) -> None:
    put(tmp_path)
    pinned = edition(tmp_path)
    put(tmp_path, **other)
    registry = Registry.load([tmp_path], shelf=Shelf(pinned))
    assert registry.edition("ours", pinned.version).data == pinned.data
    ((_, error),) = registry.problems()
    assert error.code == "unfit_manifest"
    assert "parts" in error.message


def test_a_version_that_nobody_kept_is_named(tmp_path: Path) -> None:
    put(tmp_path, version="2.0.0")
    with pytest.raises(NotFound, match=r"Version 1\.0\.0 of ours isn't here") as told:
        Registry.load([tmp_path], shelf=Shelf()).get("ours", "1.0.0")
    assert "headrace connectors upgrade --system ours" in (told.value.hint or "")


def test_code_is_not_taken_from_what_is_kept(tmp_path: Path) -> None:
    path = put(tmp_path)
    (path.parent / "more.py").write_text("LIMIT = 1\n")
    pinned = edition(tmp_path)
    path.unlink()
    with pytest.raises(InvalidInput) as told:
        Registry.load([tmp_path], shelf=Shelf(pinned)).get("ours", pinned.version)
    assert told.value.code == "kept_code"


class TestPackages:
    """What installed packages bring."""

    @pytest.fixture
    def point(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
        def install(module: str, text: str = "", name: str = "theirs") -> None:
            root = tmp_path / "site"
            (root / module).mkdir(parents=True, exist_ok=True)
            (root / module / "__init__.py").write_text(text)
            monkeypatch.syspath_prepend(str(root))
            points = [EntryPoint(name, f"{module}:FOLDER" if "FOLDER" in text else module, places.GROUP)]
            monkeypatch.setattr(places, "entry_points", lambda **_: points)

        return install

    def test_a_package_can_be_the_folder(self, point: Any, tmp_path: Path) -> None:
        point("brings_a_system")
        put(tmp_path / "site" / "brings_a_system")
        assert Registry.load().edition("ours").release == "1.0.0"

    def test_or_name_one(self, point: Any, tmp_path: Path) -> None:
        put(tmp_path / "elsewhere")
        point("names_a_folder", f"FOLDER = {str(tmp_path / 'elsewhere')!r}\n")
        assert Registry.load().edition("ours").release == "1.0.0"

    @pytest.mark.parametrize(
        "text",
        ["raise RuntimeError('no')", "FOLDER = 7", "FOLDER = '/nowhere/at/all'", "import sys; sys.exit(3)"],
    )
    def test_one_that_fails_is_a_problem_and_not_the_end(self, point: Any, text: str) -> None:
        point(f"fails_{abs(hash(text))}", text)
        registry = Registry.load()
        assert [error.code for _, error in registry.problems()] == ["bad_entry_point"]
        assert "demo" in registry.systems()
