"""`headrace views` and `headrace export`, on a copy with records in it."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.views.viewed import Viewed

from scheduler.cli.commands.copy import export
from scheduler.cli.entry import run

pytestmark = pytest.mark.integration

Command = Callable[..., tuple[int, str, str]]
ORDER = {
    "id": 1,
    "title": 'Pump, "north"\nleaks',
    "cost": 1.10,
    "due": "2026-03-01",
    "at": "2026-03-01T10:00:00Z",
    "urgent": True,
    "site": {"a": 1.50},
    "parts": [{"sku": "A"}],
}
RAW = json.dumps(ORDER).replace("1.1,", "1.10,").replace("1.5}", "1.50}")


@pytest.fixture
def headrace(
    viewed: Viewed,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Command:
    for name in [name for name in os.environ if name.startswith("HEADRACE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_DATABASE_URL", database_url)
    viewed.put("work_orders", {"1": RAW, "2": {"id": 2, "cost": "n/a"}, "3": {"id": 3}})
    viewed.delete("work_orders", "3")
    viewed.make("work_orders")

    def command(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run(arguments)
        said = capfd.readouterr()
        return code, said.out, said.err

    return command


def found(headrace: Command, *arguments: str) -> Any:
    code, out, err = headrace(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_views_lists_views_columns_and_what_does_not_fit(headrace: Command) -> None:
    listed = found(headrace, "views", "Plant north")["views"]
    assert [row["name"] for row in listed] == ["plant_north__work_orders", "plant_north__work_orders__parts"]
    assert listed[0]["columns"] == 6 + len(ORDER)
    columns = {
        row["name"]: row["type"] for row in found(headrace, "views", "Plant north", "work_orders")["columns"]
    }
    assert (columns["cost"], columns["due"]) == ("text", "date")
    assert found(headrace, "views", "Plant north", "--problems") == {"problems": []}
    code, out, _ = headrace("views", "Plant north")
    assert code == 0
    assert "data.plant_north__work_orders" in out


def test_values_that_do_not_fit_are_told_with_examples(headrace: Command, viewed: Viewed) -> None:
    viewed.put("work_orders", {"4": {"due": "next week", "status": "lost", "due_date": "later"}})
    viewed.make_models()
    problems = found(headrace, "views", "Plant north", "work_orders", "--problems")["problems"]
    assert [(row["column"], row["values"], row["examples"]) for row in problems] == [
        ("due", 1, ["4: next week"]),
        ("work_order.status", 1, ["4: lost"]),
        ("work_order.due_at", 1, ["4: later"]),
    ]


def test_refresh_makes_the_views_now(headrace: Command, viewed: Viewed) -> None:
    viewed.put("sites", {"1": {"code": "N"}})
    assert headrace("views", "Plant north", "--refresh")[0] == 0
    assert viewed.values("data.plant_north__sites", "code") == {"1": "N"}
    assert viewed.values("models.location", "code", "remote_id") == {"1": "N"}


def test_reader_says_how_somebody_is_let_in(headrace: Command) -> None:
    code, out, _ = headrace("views", "--reader")
    assert code == 0
    assert "IN ROLE headrace_reader" in out


def test_csv_has_the_columns_of_the_view(headrace: Command, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    code, _, err = headrace("export", "Plant north", "work_orders", "-o", str(file))
    assert (code, "2 rows" in err) == (0, True)
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [row["_key"] for row in rows] == ["1", "2"]
    first = rows[0]
    assert (first["title"], first["cost"], first["due"]) == (ORDER["title"], "1.10", "2026-03-01")
    assert (first["at"], first["urgent"], first["site"]) == (
        "2026-03-01T10:00:00+00:00",
        "true",
        '{"a": 1.50}',
    )
    assert list(tmp_path.glob(".*.part")) == []


def test_csv_writes_the_smallest_number_with_all_its_digits(headrace: Command, viewed: Viewed) -> None:
    viewed.put("sites", {"1": '{"id": 1, "share": 0.00000010}'})
    viewed.make("sites")
    assert viewed.columns("plant_north__sites")["share"] == "numeric"
    _, out, _ = headrace("export", "Plant north", "sites")
    assert next(csv.DictReader(io.StringIO(out)))["share"] == "0.00000010"


def test_json_lines_keep_digits_and_structure(headrace: Command) -> None:
    code, out, _ = headrace("export", "Plant north", "work_orders", "--format", "jsonl", "--deleted")
    assert code == 0
    lines = out.splitlines()
    assert [json.loads(line)["_key"] for line in lines] == ["1", "2", "3"]
    assert '"site":{"a": 1.50}' in lines[0]
    assert json.loads(lines[2])["_deleted_at"] is not None


def test_lines_are_exported_by_the_name_of_their_field(headrace: Command) -> None:
    code, out, _ = headrace("export", "Plant north", "work_orders", "--lines", "parts")
    assert code == 0
    assert [row["sku"] for row in csv.DictReader(io.StringIO(out))] == ["A"]
    assert headrace("export", "Plant north", "work_orders", "--lines", "none")[0] != 0


def test_parquet_has_types(headrace: Command, tmp_path: Path) -> None:
    import pyarrow.parquet  # noqa: PLC0415

    file = tmp_path / "orders.parquet"
    code, _, err = headrace("export", "Plant north", "work_orders", "-o", str(file))
    assert code == 0, err
    table = pyarrow.parquet.read_table(file)
    assert str(table.schema.field("due").type) == "date32[day]"
    assert str(table.schema.field("at").type) == "timestamp[us, tz=UTC]"
    assert table.column("_key").to_pylist() == ["1", "2"]


def test_what_no_column_of_parquet_holds_stops_no_export(
    headrace: Command, viewed: Viewed, tmp_path: Path
) -> None:
    import pyarrow.parquet  # noqa: PLC0415

    viewed.put("work_orders", {"odd": '{"id": 3, "at": "0001-01-01T00:00:00+01:00", "cost": 1e400}'})
    viewed.make("work_orders")
    file = tmp_path / "orders.parquet"
    code, _, err = headrace("export", "Plant north", "work_orders", "-o", str(file))
    assert code == 0, err
    assert pyarrow.parquet.read_table(file).column("at").to_pylist()[-1] is None


def test_parquet_without_pyarrow_says_how_to_get_it(
    headrace: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = headrace("export", "Plant north", "work_orders", "-o", str(tmp_path / "x.parquet"))
    assert code != 0
    assert "pip install 'headrace[parquet]'" in err


def test_pages_follow_each_other_without_a_gap(
    headrace: Command, viewed: Viewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    viewed.put("work_orders", {f"k{n}": {"id": n, "parts": [{"sku": "x"}, {"sku": "y"}]} for n in range(7)})
    _, out, _ = headrace("export", "Plant north", "work_orders")
    assert [row["_key"] for row in csv.DictReader(io.StringIO(out))] == [
        "1",
        "2",
        *(f"k{n}" for n in range(7)),
    ]
    _, out, _ = headrace("export", "Plant north", "work_orders", "--lines", "parts")
    assert len(list(csv.DictReader(io.StringIO(out)))) == 15


def test_a_file_that_cannot_be_written_leaves_nothing_behind(headrace: Command, tmp_path: Path) -> None:
    code, _, err = headrace("export", "Plant north", "work_orders", "-o", str(tmp_path / "none" / "x.csv"))
    assert code != 0
    assert "can't be written" in err


def test_a_stream_without_a_view_says_what_to_do(headrace: Command) -> None:
    code, _, err = headrace("export", "Plant north", "sites")
    assert code != 0
    assert "--refresh" in err
