"""A connector made by the kit, against the demo system, without a database: from a question to a recording."""

import json
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
