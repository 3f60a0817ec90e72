"""Do the benchmark's figures mean what they say: medians, ratios, verdicts, tables, and what is computed from them?"""

from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path

import pytest

from tests.bench.parts.line import Line, compared, shown
from tests.bench.parts.rows import Rows
from tests.bench.scaling import Costs, read_costs, scaling_table
from tests.bench.table import BEGIN, END, put, write_table

COSTS = """machine

| a second without any run: Postgres | 4 ms CPU | - |
| an idle run: Postgres | 1.5 ms CPU | - |
| an idle run: commits | 2 | - |
| an idle run: WAL | 5 kB | - |
| an idle run: Valkey | 0.25 ms CPU | - |
| an idle run: commands to Valkey | 10 | - |
| an idle run: workers | 3 ms CPU | - |
| an idle run: beat | 0.1 ms CPU | - |
| an idle run: history | 1,000 bytes | - |
| 1,000 new records of 1 kB: Postgres | 9 ms CPU | - |
"""


class Outcome:
    case = "load"
    problem = ""
    lines = (Line("a | b", 2.0, 4.0, "s", "<= 1 x", True),)


def test_a_line_of_several_rounds_has_their_medians_and_their_spread() -> None:
    line = compared("load", [1.0, 9.0, 2.0], [4.0, 4.0, 5.0], "s", target="<= 1 x", holds=lambda r: r <= 1)
    assert (line.ours, line.baseline, line.ratio, line.met) == (2.0, 4.0, 0.5, True)
    assert str(line) == "load | 2 s (1-9) | 4 s (4-5) | 0.50 | <= 1 x | met"


def test_a_missed_target_is_said_and_none_is_not_met() -> None:
    missed = compared("load", [2.0], [1.0], "s", target="<= 1 x", holds=lambda ratio: ratio <= 1)
    assert (missed.met, missed.verdict) == (False, "MISSED")
    assert compared("load", [2.0], [1.0], "s").verdict == "-"


def test_without_a_baseline_there_is_no_ratio_and_no_verdict() -> None:
    line = compared("load", [2.0], [], "s", target="<= 1 x", holds=lambda ratio: ratio <= 1)
    assert isnan(line.ratio)
    assert line.met is None


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,234 s"), (12.34, "12.3 s"), (0.01234, "0.0123 s")])
def test_a_value_has_three_digits(value: float, text: str) -> None:
    assert shown(value, "s") == text


def test_a_table_goes_between_the_marks_of_a_page_and_leaves_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    for _ in range(2):
        write_table(page, [Outcome()], full=True)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}")
    assert text.endswith(f"{END}after\n")
    assert text.count("| a \\| b | 2 s | 4 s | 0.50 |") == 1
    assert "old" not in text


def test_a_file_without_marks_is_the_table(tmp_path: Path) -> None:
    put(tmp_path / "new.md", "text\n")
    put(tmp_path / "new.md", "other\n")
    assert (tmp_path / "new.md").read_text() == "other\n"


def test_what_many_streams_ask_for_is_the_rate_times_the_cost_of_a_run() -> None:
    costs = read_costs(COSTS)
    assert costs == Costs(1.5, 2.0, 5.0, 0.25, 10.0, 3.0, 0.1, 1000.0)
    row = next(line for line in scaling_table(costs).splitlines() if line.startswith("| 1,000,000, 5 min"))
    # 3,333 runs a second, of 3 and 1.5 ms, two commits, 5 kB of WAL, ten commands; 864 M rows of 1 kB in three days.
    assert row.split(" | ")[1:] == [
        *("3,333", "10", "5", "0.83", "0.33", "6,667", "1.4 TB", "33,333"),
        "864 GB, 864 M rows |",
    ]


def test_pages_of_the_source_hold_every_row_once_whatever_was_changed() -> None:
    rows = Rows(100)
    first = rows.content()
    begin, pages = 0, []
    while begin < len(rows):
        end = min(begin + 7, len(rows))
        pages.append(bytes(rows.slice(begin, end)))
        begin = rows.after(rows.cursor(end))
    assert b",".join(pages).decode() == ",".join(row[2] for row in first)


def test_a_changed_row_of_the_source_moves_behind_all_others_and_back_by_a_reset() -> None:
    rows = Rows(100)
    first = rows.content()
    rows.mutate(10, datetime(2026, 5, 5, tzinfo=UTC))
    begin, end = rows.within("2026-01-01T00:00:00.000Z", None)
    assert (begin, end) == (90, 100)
    assert {row[0] for row in rows.content()[begin:]} == rows.changed
    rows.reset()
    assert rows.content() == first


def test_a_change_of_the_source_is_never_older_than_the_change_before() -> None:
    rows = Rows(100)
    now = datetime(2026, 5, 5, tzinfo=UTC)
    rows.mutate(50, now)
    latest = rows.content()[-1][1]
    rows.mutate(50, now + timedelta(milliseconds=3))
    begin, end = rows.within(latest, None)
    assert end - begin >= 50
    assert rows.content()[-1][1] == "2026-05-05T00:00:00.003Z"
