"""A connector made by the kit, against the demo system, without a database: from a question to a recording."""

import json
import re
from pathlib import Path

import pytest
from servers.systems.demo import TOKEN, Demo

from scheduler.cli.entry import run
from worker.connectors.manifest.model import load_manifest

pytestmark = pytest.mark.integration


@pytest.fixture
def token(demo: Demo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("PLANT_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    return "token=env://PLANT_TOKEN"


def made(demo: Demo, token: str) -> Path:
    assert run(["connector", "new", "plant", "--title", "Plant", "--base-url", demo.base_url, "--auth", "bearer",
                "--path", "/api/v1/work_orders", "--secret", token]) == 0  # fmt: skip
    return Path("connectors/plant")


def test_a_look_at_the_system_guesses_a_manifest_that_reads_it(
    demo: Demo, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(demo, token)
    stream = load_manifest(folder / "manifest.yaml").streams["work_orders"]
    assert (stream.shape.records, stream.shape.key) == (("data",), (("id",),))
    capsys.readouterr()

    assert run(["connector", "try", str(folder), "work_orders", "--limit", "2", "--secret", token]) == 0

    shown = capsys.readouterr()
    assert "> GET " in shown.err
    assert "/api/v1/work_orders" in shown.err
    assert TOKEN not in shown.out + shown.err
    assert (
        run(["connector", "try", str(folder), "work_orders", "--limit", "2", "--json", "--secret", token])
        == 0
    )
    tried = json.loads(capsys.readouterr().out)
    assert len(tried["records"]) == 2
    assert not tried["rejected"]


def test_a_recording_holds_few_records_and_nobodys_name(demo: Demo, token: str) -> None:
    folder = made(demo, token)

    assert run(["connector", "record", str(folder), "--pages", "1", "--secret", token]) == 0

    text = (folder / "recorded" / "work_orders.json").read_text()
    exchange = json.loads(text)
    assert exchange["request"]["url"].startswith("https://system.example.com/api/v1/work_orders")
    assert 0 < len(exchange["response"]["body"]["data"]) <= 5
    assert TOKEN not in text
    assert "authorization" not in text.lower()
    assert run(["connector", "check", str(folder), "--json"]) == 0


def test_without_its_secret_a_trial_says_what_to_give(
    demo: Demo, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(demo, token)
    capsys.readouterr()
    assert run(["connector", "try", str(folder), "work_orders"]) != 0
    assert "--secret token=env://" in capsys.readouterr().err


def test_the_manifest_of_the_tutorial_reads_the_system_that_it_is_about(
    demo: Demo, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).parents[3] / "docs" / "connectors" / "tutorial.md"
    (text,) = re.findall(
        r"```yaml\n(# yaml-language-server.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )
    folder = Path("connectors", "plant")
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text(text)
    account = ["--setting", f"base_url={demo.base_url}", "--secret", token]

    assert run(["connector", "check", str(folder)]) == 0
    capsys.readouterr()
    window = ["--since", "2000-01-01T00:00:00Z", "--pages", "2", "--limit", "2000", "--json"]
    assert run(["connector", "try", str(folder), "work_orders", *window, *account]) == 0
    tried = json.loads(capsys.readouterr().out)
    assert tried["records"]
    assert all(record["changed"] for record in tried["records"])
    key = tried["records"][0]["key"]
    assert run(["connector", "try", str(folder), "work_orders", "--key", key, "--json", *account]) == 0
    assert [record["key"] for record in json.loads(capsys.readouterr().out)["records"]] == [key]


def test_a_trial_in_json_says_what_was_asked_and_how_much_there_is(
    demo: Demo, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(demo, token)
    manifest = folder / "manifest.yaml"
    manifest.write_text(re.sub(r"\n    paging: [^\n]*", "", manifest.read_text()))
    capsys.readouterr()
    assert run(["connector", "try", str(folder), "work_orders", "--json", "--secret", token]) == 0
    tried = json.loads(capsys.readouterr().out)
    assert (tried["pages"], tried["more"], tried["not_taken"]) == (1, False, 0)
    assert tried["total"] > tried["read"]
    (request,) = tried["requests"]
    assert request["url"].endswith("/api/v1/work_orders")
    assert (request["status"], request["headers"]["authorization"]) == (200, "…")
    assert any("in all" in hint for hint in tried["hints"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--secret", "tokne=env://PLANT_TOKEN"], "token"),
        (["--since", "2026-01-01"], "incremental"),
        (["--sweep", "--key", "1"], "alone"),
        (["--until", "2026-01-01"], "until_param"),
    ],
)
def test_what_a_trial_would_ignore_is_refused(
    demo: Demo, token: str, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    folder = made(demo, token)
    assert run(["connector", "try", str(folder), "work_orders", "--secret", token, *options]) == 2
    assert words in capsys.readouterr().err


def test_a_sweep_lists_keys(demo: Demo, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(demo, token)
    manifest = folder / "manifest.yaml"
    manifest.write_text(f"{manifest.read_text()}    deletes: {{sweep: {{params: {{fields: id}}}}}}\n")
    capsys.readouterr()
    assert run(["connector", "try", str(folder), "work_orders", "--sweep", "--json", "--secret", token]) == 0
    tried = json.loads(capsys.readouterr().out)
    assert tried["read"]
    assert "fields=id" in tried["requests"][0]["url"]


def test_what_was_not_taken_is_shown_without_saying_that_nothing_came(
    demo: Demo, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(demo, token)
    manifest = folder / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("key: id", "key: nothing"))
    capsys.readouterr()
    assert run(["connector", "try", str(folder), "work_orders", "--secret", token]) == 1
    said = capsys.readouterr().out
    assert "Not taken: " in said
    assert "No record came" not in said
    assert " on 1 page" in said
    manifest.write_text(manifest.read_text().replace("records: data", "records: elsewhere"))
    assert run(["connector", "try", str(folder), "work_orders", "--secret", token]) == 1


def test_lists_with_a_query_and_a_name_are_looked_at_together(demo: Demo, token: str) -> None:
    path = "/api/{version}/work_orders?limit=3"
    assert run(["connector", "new", "plant", "--title", "Plant", "--base-url", demo.base_url, "--auth", "bearer",
                "--path", path, "--path", "/api/v1/assets", "--setting", "version=v1", "--secret", token]) == 0  # fmt: skip
    manifest = load_manifest(Path("connectors/plant/manifest.yaml"))
    assert [*manifest.streams] == ["work_orders", "assets"]
    assert manifest.streams["assets"].shape.records == ("data",)
    assert manifest.settings["version"].required
    stream = manifest.streams["work_orders"]
    assert (stream.shape.records, stream.shape.key) == (("data",), (("id",),))


def test_a_document_is_fetched_or_told_why_not(
    demo: Demo, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["connector", "from-openapi", f"{demo.base_url}/openapi.json"]) == 2
    assert "was answered where the document should be" in capsys.readouterr().err


def test_of_a_list_that_holds_keys_alone_some_records_are_asked_for(
    demo: Demo, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(demo, token)
    manifest = folder / "manifest.yaml"
    text = re.sub(r"\n    # REVIEW[^\n]*", "", manifest.read_text()) + "    detail: {}\n    single: {}\n"
    manifest.write_text(text)
    capsys.readouterr()
    assert run(["connector", "try", str(folder), "work_orders", "--json", "--secret", token]) == 0
    assert len(json.loads(capsys.readouterr().out)["records"]) == 5
