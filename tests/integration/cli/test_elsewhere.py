"""Commands of somebody who has an address and a token, and no database: they show what the same commands show there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.installation.api import TOKEN, Server, serving
from servers.installation.commands import Command

pytestmark = pytest.mark.integration

FILE = """\
version: 1
connections:
  - id: plant
    system: demo
    settings: {base_url: "http://127.0.0.1:9"}
    secrets: {token: "env://HEADRACE_TEST_TOKEN"}
    network: {proxy: "http://127.0.0.1:9"}
    labels: {region: eu}
    schedule: {every: 1d, at: "02:00"}
  - {id: other, system: demo, settings: {base_url: "http://127.0.0.1:9"}, secrets: {token: "env://HEADRACE_TEST_TOKEN"}}
"""
RAW = '{"id": 1.10,  "name": "Pump"}'
INSERT = """
INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, cause_kind, cause_id, change_kind)
SELECT s.bucket, s.id, k, %s, gen_random_uuid(), now(), 'run', gen_random_uuid(), 'created'
  FROM streams s JOIN connections c ON c.id = s.connection_id CROSS JOIN unnest(%s::text[]) k
 WHERE c.name = 'plant' AND s.name = 'parts'
"""


@pytest.fixture
def api(headrace: Command, database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Server]:
    file = tmp_path / "connections.yaml"
    file.write_text(FILE)
    assert headrace("apply", str(file)).code == 0
    (tmp_path / "api").mkdir()
    with serving(database_url, broker_url, tmp_path / "api") as server:
        yield server


def test_commands_ask_the_api_and_say_the_same(
    headrace: Command, api: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.rows(INSERT, RAW, [f"k{number:03}" for number in range(230)])
    asked = headrace("sync", "plant", "sites", "--json").json["runs"][0]
    looks = [
        ("connections",),
        ("connections", "--after", "other"),
        ("runs",),
        ("runs", "--connection", "plant", "--stream", "sites"),
        ("runs", "show", asked["id"][:13]),
        ("records", "plant", "parts", "--all", "--jsonl"),
        ("records", "plant", "parts", "--limit", "3", "--csv"),
    ]
    here = {look: headrace(*look) for look in looks}

    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.delenv("HEADRACE_DATABASE_URL")
    monkeypatch.delenv("HEADRACE_BROKER_URL")
    monkeypatch.setenv("HEADRACE_URL", api.url)
    monkeypatch.setenv("HEADRACE_TOKEN", f"file://{tmp_path / 'token'}")
    for look in looks:
        there = headrace(*look)
        assert (there.code, _calm(there.out)) == (0, _calm(here[look].out)), (look, there.err)

    shown = headrace("connections", "show", "plant")
    for words in ("every 1d at 02:00", "env://HEADRACE_TEST_TOKEN", "network proxy", "region", "work_orders"):
        assert words in shown.out
    assert headrace("connections", "show", "plant", "--json").json["secrets"] == {
        "token": "env://HEADRACE_TEST_TOKEN"
    }
    joined = headrace("sync", "plant", "sites", "--json").json
    assert (joined["connection"], joined["runs"][0]["id"], joined["runs"][0]["joined"]) == (
        "plant",
        asked["id"],
        True,
    )
    assert "was queued already" in headrace("sync", "plant", "sites").out
    assert headrace("runs", "cancel", asked["id"], "--json").json == {
        "id": asked["id"],
        "outcome": "cancelled",
    }
    assert headrace("sync", "plant", "nothing").code == 3
    assert "plant is paused." in headrace("pause", "plant").out
    assert "was paused already" in headrace("pause", "plant").out
    assert "goes on" in headrace("resume", "plant").out
    assert headrace("resume", "plant", "--json").json == {
        "connection": "plant",
        "paused": False,
        "changed": False,
    }
    missing = headrace("pause", "plnt", "--json")
    assert (missing.code, json.loads(missing.err)["error"]["code"]) == (3, "unknown_connection")

    unknown = headrace("runs", "show", "0000")
    assert (unknown.code, "give the whole id" in unknown.err) == (3, True)
    refused = headrace("storage")
    assert refused.code == 2
    assert "works on the database itself" in refused.err
    (tmp_path / "token").write_text("hr_live_wrong")
    assert "HEADRACE_TOKEN must be" in headrace("connections").err
    monkeypatch.setenv("HEADRACE_URL", "http://127.0.0.1:9")
    gone = headrace("connections")
    assert (gone.code, "could not be reached" in gone.err) == (4, True)


def _calm(text: str) -> str:
    """What doesn't hang on the moment."""
    words = [word for word in text.split() if not word.endswith("s") or not word[:1].isdigit()]
    return " ".join(word for word in words if word not in {"ago", "in"})
