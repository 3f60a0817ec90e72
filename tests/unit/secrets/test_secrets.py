"""References are safe to show, values are not; what is wrong is said without repeating what was given."""

import os
from pathlib import Path

import pytest

from worker.errors import HeadraceError, InvalidInput, NeedsOperator
from worker.secrets import Reference, open_secret, parse_reference
from worker.telemetry.redaction import MASK, redactor


@pytest.mark.parametrize(
    "text", ["env://CMMS_TOKEN", "file:///run/secrets/token", "file:///with space/and://more"]
)
def test_a_reference_reads_back_as_it_was_written(text: str) -> None:
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize(
    "plain",
    ["hunter2-hunter2", "", "env:CMMS_TOKEN", "Bearer abc", 12345, None, ["env://X"], "x" * 5000, "://abc"],
)
def test_a_secret_typed_in_by_mistake_is_refused_and_not_repeated(plain: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_reference(plain, name="token")

    assert caught.value.code == "plain_secret"
    assert "`token`" in str(caught.value)
    assert "env://NAME" in str(caught.value)
    if isinstance(plain, str) and len(plain) > 8:
        assert plain not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("ENV://X", "env://?"), ("envs://X", "env://?"), ("postgres://u:hunter2@db/x", "env://NAME")],
)
def test_an_unknown_scheme_is_refused_with_the_nearest_one(text: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_reference(text)

    assert caught.value.code == "unknown_secret_scheme"
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "env://",
        "env://hunter2-hunter2",
        "env://1X",
        "env://A\n",
        "file://",
        "file://hunter2",
        "file://~/x",
        "file:///a\0b",
    ],
)
def test_a_reference_to_nothing_possible_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_reference(text, name="password")

    assert caught.value.code == "bad_secret_reference"
    assert "`password`" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_variable_is_opened_and_redacted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMMS_TOKEN", "env-planted-value")

    assert open_secret("env://CMMS_TOKEN").reveal() == "env-planted-value"
    assert redactor.redact("env-planted-value") == MASK


def test_a_missing_or_empty_variable_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CMMS_TOKEN", raising=False)
    assert "is not set" in _unresolved("env://CMMS_TOKEN")
    monkeypatch.setenv("CMMS_TOKEN", "")
    assert "is empty" in _unresolved("env://CMMS_TOKEN")
    assert "Set CMMS_TOKEN where the worker is started" in _unresolved("env://CMMS_TOKEN")


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"planted-token\n", "planted-token"),
        (b"planted-token\r\n", "planted-token"),
        (b"planted-token", "planted-token"),
        (b"two\nlines\n\n", "two\nlines\n"),
        (b"\xef\xbb\xbfplanted-token", "planted-token"),
        (b" spaces are kept ", " spaces are kept "),
        (b"x" * 65536, "x" * 65536),
    ],
)
def test_a_file_is_opened_without_the_newline_at_its_end(tmp_path: Path, content: bytes, value: str) -> None:
    (tmp_path / "token").write_bytes(content)

    assert open_secret(f"file://{tmp_path}/token").reveal() == value


def test_a_file_that_was_rotated_is_seen_at_the_next_use(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first-value")
    assert open_secret(f"file://{tmp_path}/token").reveal() == "first-value"
    (tmp_path / "token").write_text("second-value")
    assert open_secret(f"file://{tmp_path}/token").reveal() == "second-value"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b" \n", "empty"),
        (b"x" * 65537, "larger than 64 kB"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_file_that_can_be_no_secret_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "token").write_bytes(content)

    assert why in _unresolved(f"file://{tmp_path}/token")


@pytest.mark.timeout(10)
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "isn't a file" in _unresolved(f"file://{tmp_path}/pipe")
    assert "is a directory" in _unresolved(f"file://{tmp_path}")
    assert "isn't a file" in _unresolved("file:///dev/zero")
    assert "no such file" in _unresolved(f"file://{tmp_path}/absent")
    assert "not a directory" in _unresolved("file:///etc/passwd/x")


def test_a_file_that_the_system_refuses_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "token").symlink_to(tmp_path / "token")

    assert f"file://{tmp_path}/token can't be opened: too many levels" in _unresolved(
        f"file://{tmp_path}/token"
    )


def test_opening_what_is_no_reference_needs_a_person_and_repeats_nothing() -> None:
    assert "hunter2" not in _unresolved("hunter2-hunter2")
    assert "hunter2" not in _unresolved("vault://hunter2")


def test_a_reference_shows_where_and_not_what() -> None:
    assert repr(Reference("env", "CMMS_TOKEN")) == "Reference(scheme='env', name='CMMS_TOKEN')"


def _unresolved(reference: str) -> str:
    with pytest.raises(HeadraceError) as caught:
        open_secret(reference)
    assert isinstance(caught.value, NeedsOperator)
    assert caught.value.code == "secret_unresolved"
    assert caught.value.__cause__ is None
    return str(caught.value)
