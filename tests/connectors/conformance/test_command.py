"""`headrace connector check`: what an author sees."""

import json
from pathlib import Path

import pytest
from connectors.doubles.plain import MANIFEST

from scheduler.cli.entry import run

pytestmark = pytest.mark.integration

FEW = (
    MANIFEST[: MANIFEST.index("  by_offset:")]
    + MANIFEST[MANIFEST.index("  by_cursor:") : MANIFEST.index("  by_link:")]
)
"""One of its streams."""
DOUBLE = """
from connectors.doubles.plain import Plain


class Mine(Plain):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "plain"
    found.mkdir()
    (found / "manifest.yaml").write_text(FEW)
    return found


def check(*more: str) -> int:
    return run(["connector", "check", *more])


def test_a_double_beside_the_manifest_is_found_and_the_report_goes_into_the_readme(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "double.py").write_text(DOUBLE)
    readme = folder / "README.md"
    readme.write_text("# plain\n\nWords of mine.\n")
    assert check(str(folder), "--stream", "by_cursor", "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["against"], found["kept"]) == ("double", True)
    assert {each["mark"] for each in found["checks"]} == {"passed", "not applicable"}

    assert check(str(folder), "--write", str(readme)) == 0
    said = capfd.readouterr().out
    assert "never a trial on a live system" in said
    text = readme.read_text()
    assert text.startswith("# plain\n\nWords of mine.\n")
    assert text.count("<!-- conformance -->") == 1
    assert "| resume |" in text


def test_a_broken_promise_shows_what_was_expected_what_came_and_the_request(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "double.py").write_text(DOUBLE)
    manifest = folder / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("format: epoch_ms", "format: epoch_s"))
    assert check(str(folder), "--only", "precision", "--stream", "by_cursor") == 1
    said = capfd.readouterr()
    assert "BROKEN" in said.out
    for word in ("expected", "came", "asked"):
        assert f"  {word}" in said.out
    assert "GET /by_cursor" in said.out
    assert "precision (by_cursor) is broken" in said.err


def test_without_a_double_it_is_checked_as_far_as_that_goes(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert check(str(folder)) == 0
    assert "nothing answered" in capfd.readouterr().out


def test_what_was_recorded_is_read_as_the_manifest_says(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recorded = folder / "recorded"
    recorded.mkdir()
    request = {"method": "GET", "url": "https://system.example.com/by_cursor", "headers": {}, "body": None}
    row = {"id": 1, "updated_at": 1_781_524_800_000, "name": "Record 1"}

    def record(*rows: dict[str, object]) -> None:
        response = {"status": 200, "headers": {}, "body": {"data": list(rows), "next": None}}
        (recorded / "by_cursor.json").write_text(json.dumps({"request": request, "response": response}))

    record(row, {**row, "id": 2})
    assert check(str(folder), "--json") == 0
    assert [each["mark"] for each in _recorded(capfd)] == ["passed"]
    record(row, {**row, "id": 2}, row)
    assert check(str(folder), "--json") == 1
    (found,) = _recorded(capfd)
    assert (found["stream"], found["came"]) == ("by_cursor", "3 entries with 2 keys")
    assert "by_cursor.json" in found["request"]


def test_a_recorded_field_may_be_empty_but_must_be_there(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "manifest.yaml").write_text(
        f"{FEW}    columns: {{name: text, place: {{path: site.name, type: text}}}}\n"
    )
    (folder / "recorded").mkdir()
    request = {"method": "GET", "url": "https://system.example.com/by_cursor", "headers": {}, "body": None}
    row = {"id": 1, "updated_at": 1_781_524_800_000}
    cases = [
        ({"name": None, "site": None}, ""),
        ({"name": None, "site": {"name": "A"}}, ""),
        ({"title": "A", "site": None}, "no record with name"),
        ({"name": None, "site": {"title": "A"}}, "no record with site.name"),
    ]
    for more, came in cases:
        response = {"status": 200, "headers": {}, "body": {"data": [{**row, **more}], "next": None}}
        (folder / "recorded" / "by_cursor.json").write_text(
            json.dumps({"request": request, "response": response})
        )
        check(str(folder), "--json")
        (found,) = _recorded(capfd)
        assert found.get("came", "") == came


def _recorded(capfd: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    checks = {each["check"]: each for each in json.loads(capfd.readouterr().out)["checks"]}
    found: list[dict[str, str]] = checks["recorded"]["outcomes"]
    return found


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("x = (", "double.py:1: The double can't be loaded: SyntaxError"),
        ("\nraise KeyError('k')", "double.py:2: The double can't be loaded: KeyError"),
        ("", "double.py: It must hold one class"),
    ],
)
def test_a_double_that_can_not_be_loaded_is_said_with_its_file(
    folder: Path, capfd: pytest.CaptureFixture[str], written: str, words: str
) -> None:
    (folder / "double.py").write_text(written)
    assert check(str(folder)) != 0
    assert words in capfd.readouterr().err


def test_a_double_that_fails_by_itself_is_told_with_file_and_line_and_another_exit_code(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A promise that is broken ends with 1, a double that must be mended first with 2."""
    (folder / "double.py").write_text(f"{DOUBLE}\n    def answer(self, call):\n        return roes\n")
    assert check(str(folder), "--only", "resume") == 2
    said = capfd.readouterr()
    assert "your double failed in answer(): NameError: name 'roes' is not defined (double.py:9)" in said.out
    assert "resume (by_cursor) can't be tried: the double failed" in said.err
    (folder / "double.py").write_text(f"{DOUBLE}\n    def complaint(self):\n        return []\n")
    assert check(str(folder)) == 2
    assert (
        "double.py:8: Nothing asks a double for 'complaint'. Did you mean 'complaints'?"
        in capfd.readouterr().err
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "secrets = {'tokn': 'x'}",
            "double.py:8: The manifest asks for token: `secrets` says what that is here.",
        ),
        (
            "def settings(self):\n        return {}",
            "double.py:8: Its settings() are not what the manifest asks for",
        ),
    ],
)
def test_what_a_double_says_of_its_connection_is_held_against_the_manifest(
    folder: Path, capfd: pytest.CaptureFixture[str], said: str, words: str
) -> None:
    (folder / "double.py").write_text(f"{DOUBLE}\n    {said}\n")
    assert check(str(folder)) == 2
    assert words in capfd.readouterr().err


def test_a_secret_that_nobody_can_find_is_told_with_its_line(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest = folder / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("find: On its first page.", "required: false"))
    assert check(str(folder)) == 1
    assert "nothing about token (manifest.yaml:8)" in capfd.readouterr().out


def test_a_check_that_is_not_there_is_answered_with_the_nearest(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert check(str(folder), "--only", "resum") != 0
    assert "resume" in capfd.readouterr().err
