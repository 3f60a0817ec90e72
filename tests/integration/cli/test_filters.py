"""Commands narrowed to a tenant, labels or an environment, and what is paused and resumed by them."""

from pathlib import Path

import pytest
from servers.installation.api import TOKEN, serving
from servers.installation.commands import Command
from servers.rows.customers import new_customers

from worker.db.database import Database

pytestmark = pytest.mark.integration

LISTS = [("connections", "name"), ("runs", "connection"), ("quarantine", "connection"), ("drift", "connection"),
         ("changes", "connection")]  # fmt: skip


@pytest.fixture
def customers(headrace: Command, database_url: str) -> Command:
    database = Database(database_url, name="test", pool=2)
    new_customers(database)
    database.close()
    return headrace


def test_lists_are_narrowed_and_what_is_meant_is_paused(customers: Command, tmp_path: Path) -> None:
    for command, field in LISTS:
        told = {}
        for filters in ("--tenant acme", "--label region:north --label region:north", "--tenant acme --environment test",
                        "--environment live", "--tenant nobody"):  # fmt: skip
            found = customers(command, *filters.split(), "--json")
            assert found.code == 0, (command, found.err)
            rows = found.json["changes"] if command == "changes" else found.json
            told[filters] = {row[field] for row in rows}
        assert [sorted(names) for names in told.values()] == [
            ["acme", "trial"], ["acme", "trial"], ["trial"], ["acme", "brick", "own"], [],
        ], command  # fmt: skip
    assert customers("runs", "--label", "north").code == 2
    assert customers("runs", "--connection", "acme", "--environment", "test").code == 3

    added = customers(
        "subscriptions", "add", "hooks", "https://hooks.example.com", "--secret", "env://X", "--tenant", "acme",
        "--label", "region:north", "--environment", "live", "--json",
    )  # fmt: skip
    assert added.json["view"] == {
        "environment": "live", "tenants": ["acme"], "connections": None, "labels": {"region": "north"},
    }  # fmt: skip
    assert "every change (tenant acme; region:north; live)" in customers("subscriptions").out

    assert customers("pause").code == customers("pause", "--environment", "live").code == 2
    assert customers("pause", "acme", "--tenant", "acme").code == 2
    assert customers("pause", "--tenant", "nobody", "--yes").code == 3
    asked = customers("pause", "--tenant", "acme")
    assert (asked.code, "live/acme" in asked.err, "--yes" in asked.err) == (2, True, True)
    dry = customers("pause", "--tenant", "acme", "--dry-run", "--json")
    assert [row["name"] for row in dry.json] == ["acme", "trial"]
    assert _paused(customers) == []
    assert "2 of 2 connections are paused now" in customers("pause", "--tenant", "acme", "--yes").out
    assert _paused(customers) == ["acme", "trial"]
    assert customers("pause", "--tenant", "acme", "--json").json["changed"] == 0
    assert "0 of 2 connections would be paused" in customers("pause", "--tenant", "acme", "--dry-run").out
    assert customers("resume", "--label", "region:north", "--environment", "test", "--yes").code == 0
    assert _paused(customers) == ["acme"]
    assert customers("resume", "--tenant", "acme", "--yes", "--json").json["changed"] == 1
    acts = customers("audit", "--json").json
    assert sorted(act["target"] for act in acts if act["action"] == "connection.pause") == ["acme", "trial"]
    north = customers("audit", "--label", "region:north", "--action", "connection.pause", "--json").json
    assert sorted(act["target"] for act in north) == ["acme", "trial"]
    assert customers("audit", "--label", "region:south", "--json").json == []


def test_elsewhere_they_do_the_same_as_far_as_the_token_sees(
    customers: Command, database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "api").mkdir()
    with serving(database_url, broker_url, tmp_path / "api") as server:
        monkeypatch.delenv("HEADRACE_DATABASE_URL")
        monkeypatch.delenv("HEADRACE_BROKER_URL")
        monkeypatch.setenv("HEADRACE_URL", server.url)
        monkeypatch.setenv("HEADRACE_TOKEN", TOKEN)
        assert [row["name"] for row in customers("connections", "--tenant", "acme", "--json").json] == [
            "acme"
        ]
        runs = customers("runs", "--label", "region:south", "--json").json
        assert {row["connection"] for row in runs} == {"brick"}
        dry = customers("pause", "--tenant", "acme", "--dry-run").out
        assert ("live/acme" in dry, "trial" in dry, "1 of 1 connection would" in dry) == (True, False, True)
        assert customers("pause", "--tenant", "acme").code == 2
        assert customers("pause", "--tenant", "acme", "--environment", "test", "--yes").code == 3
        assert "1 of 1 connections are paused now" in customers("pause", "--tenant", "acme", "--yes").out
        assert _paused(customers) == ["acme"]
        assert customers("resume", "--tenant", "acme", "--yes", "--json").json["changed"] == 1


def _paused(headrace: Command) -> list[str]:
    return [row["name"] for row in headrace("connections", "--json").json if row["paused_at"]]
