"""What is taken from what a tap writes, and what its words mean: without a process."""

import json
from collections.abc import Callable

import pytest

from worker.connectors.protocols.singer_calls import Choice
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.taps.allowed import allowed_tap
from worker.taps.lines import Line, lines_of
from worker.taps.mailbox import Mailbox
from worker.taps.messages import Activated, Files, Noise, Row, Schema, State, message_of
from worker.taps.reading import Reading
from worker.taps.words import failure_of, level_of, masked

LIST = (
    "tap-csv==1.4.0",
    "meltanolabs_tap_postgres==0.10.0",
    "tap-git@git+https://example.com/x",
    "/opt/taps/",
)


def pieces(*given: bytes) -> Callable[[int], bytes]:
    left = list(given)
    return lambda _: left.pop(0) if left else b""


def test_lines_are_put_together_from_pieces_and_need_no_end() -> None:
    read = pieces(b"on", b"e\r\ntwo\n\nth", b"ree")
    assert [line.text for line in lines_of(read, 100)] == [b"one", b"two", b"", b"three"]


def test_a_line_without_an_end_is_cut_and_the_next_is_whole() -> None:
    read = pieces(b"x" * 60, b"y" * 60, b"z" * 10 + b"\nshort\n")
    assert list(lines_of(read, 100, kept=5)) == [Line(b"xxxxx", 130), Line(b"short", 5)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"type":"RECORD","stream":"a","record":{"b": 1.50},"version":7}', Row("a", b'{"b": 1.50}', 7)),
        (b'{"type":"RECORD","stream":"a","record":{"b": NaN}}', Row("a", b'{"b": NaN}')),
        (b'{"type": "STATE", "value": {"x": 1}}', State(b'{"x": 1}')),
        (b'{"type":"SCHEMA","stream":"a","schema":{},"key_properties":["i"]}', Schema("a", ("i",))),
        (b'{"type":"ACTIVATE_VERSION","stream":"a","version":7}', Activated("a", 7)),
        (b'{"type":"BATCH","stream":"a","manifest":[]}', Files("a")),
        (b'{"type":"RECORD","stream":"a"}', Noise(b'{"type":"RECORD","stream":"a"}')),
        (b'{"type":"METRIC","value":1}', Noise(b'{"type":"METRIC","value":1}')),
        (b"INFO hello", Noise(b"INFO hello")),
        (b"[1]", Noise(b"[1]")),
        (b'{"type":', Noise(b'{"type":')),
    ],
)
def test_a_line_is_one_message_or_noise(line: bytes, message: object) -> None:
    assert message_of(line) == message


@pytest.mark.parametrize(
    ("ours", "theirs", "goes"),
    [
        (("id",), ("id",), True),
        (("id",), ("plant", "id"), False),
        (("plant", "id"), ("id",), True),
        (("code",), ("id",), True),
        (("id",), (), True),
        ((), ("id",), True),
    ],
)
def test_records_that_the_tap_tells_apart_do_not_become_one(
    ours: tuple[str, ...], theirs: tuple[str, ...], goes: bool
) -> None:
    reading = Reading(Mailbox(), Choice("a", key=ours), tap="tap-x")
    schema = json.dumps({"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": theirs}).encode()
    if goes:
        reading.take(Line(schema, len(schema)))
        return
    with pytest.raises(NeedsOperator) as caught:
        reading.take(Line(schema, len(schema)))
    assert caught.value.code == "tap_key_differs"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("INFO METRIC: {}", "debug"),
        ("2026-01-01 10:00 | WARNING | tap | slow", "warning"),
        ("CRITICAL broken", "error"),
        ("Traceback (most recent call last):", "error"),
        ("KeyError: 'id'", "error"),
        ("hello", "debug"),
    ],
)
def test_a_line_is_as_loud_as_it_says(line: str, level: str) -> None:
    assert level_of(line) == level


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer sk-abcdef123",
        "got {'access_token': 'sk-abcdef123', 'x': 1}",
        "GET https://x.example.com/a?api_key=sk-abcdef123&b=1",
        "postgresql://me:sk-abcdef123@db.example.com/x",
    ],
)
def test_what_looks_like_a_secret_is_masked_though_nobody_knows_it(line: str) -> None:
    assert "sk-abcdef123" not in masked(line)


def test_words_about_a_secret_are_shown() -> None:
    words = 'FATAL: password authentication failed for user "reader"; token expired'
    assert masked(words) == words


@pytest.mark.parametrize(
    ("code", "last", "kind", "named"),
    [
        (1, ["ERROR Config validation failed: 'host' is a required property"], NeedsOperator, "tap_refused"),
        (1, ["requests.exceptions.HTTPError: 403 Client Error: Forbidden"], NeedsOperator, "tap_refused"),
        (1, ["FATAL: password authentication failed for user"], NeedsOperator, "tap_refused"),
        (1, ["429 Too Many Requests"], Transient, "throttled"),
        (1, ["ConnectionError: refused"], Transient, "tap_failed"),
        (137, [], Transient, "tap_killed"),
        (152, [], Transient, "tap_killed"),
        (127, ["ERROR x can't be started"], NeedsOperator, "tap_not_started"),
    ],
)
def test_how_it_ended_says_what_is_done_next(
    code: int, last: list[str], kind: type[HeadraceError], named: str
) -> None:
    failure = failure_of(code, last, tap="tap-x")
    assert isinstance(failure, kind)
    assert failure.code == named


def test_nothing_runs_where_nothing_is_allowed_and_the_error_says_what_to_set() -> None:
    with pytest.raises(NeedsOperator) as caught:
        allowed_tap("tap-csv==1.4.0", ())
    assert caught.value.code == "tap_not_allowed"
    assert "HEADRACE_TAPS=tap-csv==1.4.0" in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("tap-csv==1.4.0", "tap-csv"),
        ("tap_csv", "tap-csv"),
        ("meltanolabs-tap-postgres", "meltanolabs-tap-postgres"),
        ("tap-git@git+https://example.com/x", "tap-git"),
        ("/opt/taps/tap-own", "tap-own"),
    ],
)
def test_a_tap_is_named_as_it_stands_in_the_list_or_by_its_name_alone(wanted: str, name: str) -> None:
    assert allowed_tap(wanted, LIST).name == name


@pytest.mark.parametrize(
    "wanted",
    [
        "tap-csv==1.4.1", "tap-csv>=1", "tap-csv[s3]==1.4.0", "tap-github", "--index-url=https://evil.example.com",
        "/opt/taps", "/opt/taps/../../bin/sh", "/bin/sh", "tap-csv==1.4.0 evil", "",
    ],
)  # fmt: skip
def test_what_is_not_in_the_list_does_not_run(wanted: str) -> None:
    with pytest.raises(NeedsOperator):
        allowed_tap(wanted, LIST)


def test_a_requirement_without_a_version_is_known_not_to_be_pinned() -> None:
    entries = ("tap-a==1.0", "tap-b>=1", "tap-c", "tap-d==1.*", "tap-e@git+https://example.com/x@0123456789")
    assert [allowed_tap(entry, entries).is_pinned for entry in entries] == [True, False, False, False, True]
