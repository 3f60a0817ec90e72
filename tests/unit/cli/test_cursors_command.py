"""What `headrace cursors` says of a stream's cursor."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.cli.commands.runs.cursors import _print_all, _print_one
from scheduler.runs.cursors import CursorState, skew_in_words
from worker.connectors.contract import StreamTraits
from worker.engine.planning.lateness import Late, grade_of

TIMED = StreamTraits(incremental=True, ordered=True, timestamps=True, overlap=300.0)


def state(traits: StreamTraits | None = TIMED, late: list[Late] | None = None, **row: Any) -> CursorState:
    known = {
        "stream": "work_orders",
        "watermark": "2026-11-24T12:00:00.000000Z",
        "moved_at": datetime(2026, 11, 24, 12, 0, 5, tzinfo=UTC),
        "reading": False,
        "look_back": None,
        "options": {},
        "clock_skew": 0.0,
        "doubts": [],
    }
    return CursorState({**known, **row}, traits, late or [])


def test_one_stream_is_shown_with_its_bounds_and_how_late_its_news_came(
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = [Late(grade_of(2), 40, 300.0), Late(grade_of(400), 1, 600.0)]
    _print_one(state(late=late, look_back=900.0, clock_skew=-75.0))
    said = capsys.readouterr().out
    for words in ("2026-11-24T12:00:00", "5m", "15m", "5m to 1d", "1m15s behind", "41", "████"):
        assert words in said


def test_all_streams_are_a_line_each_with_the_warnings_below(capsys: pytest.CaptureFixture[str]) -> None:
    doubtful = state(doubts=[{"reason": "nulls", "times": 1200}], stream="parts")
    _print_all([state(), doubtful, state(None, stream="gone")])
    said = capsys.readouterr().out
    assert "parts: 1,200 records came without a cursor" in " ".join(said.split())
    assert "unknown" in said


@pytest.mark.parametrize(
    ("traits", "kind"),
    [
        (TIMED, "time"), (replace(TIMED, timestamps=False), "number"), (None, "unknown"),
        (replace(TIMED, timestamps=False, token=True), "token"), (replace(TIMED, incremental=False), "none"),
    ],
)  # fmt: skip
def test_each_kind_has_its_name_and_looks_back_only_where_it_can(
    traits: StreamTraits | None, kind: str
) -> None:
    found = state(traits, watermark={"token": "secret"} if kind == "token" else 7)
    assert found.kind == kind
    assert (found.look_back is not None) is (kind in {"time", "number"})
    assert "secret" not in str(found.as_json())


def test_every_reason_for_doubt_says_what_to_do() -> None:
    for reason in ("nulls", "too_late", "token_expired", "pages_shifted"):
        (words,) = state(doubts=[{"reason": reason, "times": 3}]).warnings()
        assert "{" not in words.replace("{most", "")
    assert "Mend that clock" in state(clock_skew=10.0**6).warnings()[0]
    assert "size_param" in state(replace(TIMED, seam="total")).warnings()[0]


def test_a_clock_within_what_a_header_tells_is_as_ours() -> None:
    assert skew_in_words(1.5) == "as ours"
    assert skew_in_words(90.0) == "1m30s ahead"
