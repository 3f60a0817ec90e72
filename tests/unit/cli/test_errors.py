"""With which code does a command end, and what does it say?"""

import json
from datetime import UTC, datetime

import pytest

from scheduler.cli.entry import run
from scheduler.cli.errors import EXIT_CODES, Exit, exit_code, say_error, say_unexpected
from worker.errors import HeadraceError, InvalidInput, NeedsOperator, NotFound, RateLimited, Transient
from worker.telemetry.redaction import redactor


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("bad_yaml", "No."), Exit.USAGE),
        (NotFound("unknown_run", "No."), Exit.NOT_FOUND),
        (Transient("database_unavailable", "Away."), Exit.UNREACHABLE),
        (Transient("malformed_page", "Another shape."), Exit.FAILED),
        (NeedsOperator("no_database", "None."), Exit.UNREACHABLE),
        (NeedsOperator("schema_behind", "Old."), Exit.FAILED),
        (NeedsOperator("port_in_use", "Taken."), Exit.FAILED),
        (RateLimited("limited", "Wait.", resume_at=datetime.now(UTC)), Exit.FAILED),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: HeadraceError, code: Exit) -> None:
    assert exit_code(error) is code


def test_every_exit_code_is_explained() -> None:
    assert set(EXIT_CODES) == set(Exit)


def test_an_error_is_one_sentence_with_its_place_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    error = InvalidInput("bad_duration", "'15' is no duration.", place="plants.yaml:7", hint="Write 15m.")
    say_error(error, as_json=False)
    assert capsys.readouterr().err == "Error: plants.yaml:7: '15' is no duration. Write 15m.\n"


@pytest.mark.parametrize("line", [["--nope"], ["nope"], ["changes", "--limit", "0"], ["changes"] * 4])
def test_a_wrong_command_line_is_told_in_whole_sentences(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line) == Exit.USAGE
    said = capsys.readouterr().err
    assert ". See `headrace" in said
    assert ".." not in said


def test_an_error_is_json_for_who_reads_json(capsys: pytest.CaptureFixture[str]) -> None:
    say_error(NotFound("unknown_run", "There is no run 12."), as_json=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err) == {"error": {"code": "unknown_run", "message": "There is no run 12."}}


def test_no_secret_and_no_traceback_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_LOG_LEVEL", "INFO")
    redactor.add("hunter2-of-this-test")
    assert say_unexpected(RuntimeError("sent hunter2-of-this-test")) is Exit.FAILED
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert "Traceback" not in said
    assert "HEADRACE_LOG_LEVEL=DEBUG" in said


def test_what_is_no_text_is_said_as_the_fault_of_what_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        "\udcff".encode()
    assert say_unexpected(caught.value) is Exit.USAGE
    assert "isn't UTF-8" in capsys.readouterr().err


def test_debug_brings_the_traceback_without_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_LOG_LEVEL", "DEBUG")
    redactor.add("hunter2-of-this-test")
    try:
        raise RuntimeError("why")
    except RuntimeError as exc:
        exc.__cause__ = ValueError("illegal header value b'Bearer hunter2-of-this-test\\n'")
        say_unexpected(exc)
        say_error(Transient("away", "Away."), as_json=False)
    said = capsys.readouterr().err
    assert said.count("Traceback") == 1
    assert "illegal header value" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"], ["runs", "--nope"], ["sync"], ["runs", "--limit", "x"], ["runs", "--limit", "0"],
        ["runs", "--state", "resting"], ["records", "a"], ["apply", "f", "--yes"], ["records", "a", "b", "--csv", "--json"],
        ["runs", "--stream", "x"], ["worker", "--lane", "fast"], ["up", "--port", "70000"],
        ["webhooks", "--register"], ["webhooks", "a", "--register", "--refused"], ["webhooks", "--refused", "--tenant", "b"],
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_sentence_and_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == Exit.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1
    assert "--help" in said.err


def test_a_wrong_setting_is_named_as_the_variable_that_set_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_PORT", "eighty")
    assert run(["runs"]) == Exit.USAGE
    assert "HEADRACE_PORT" in capsys.readouterr().err


def test_without_a_database_it_says_how_to_come_by_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.delenv("HEADRACE_DATABASE_URL", raising=False)
    assert run(["connections"]) == Exit.UNREACHABLE
    assert "headrace up" in capsys.readouterr().err
