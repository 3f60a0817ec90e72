"""`headrace secrets check` and `headrace doctor`: which references lead to a value, and what is wrong with others."""

import json

import pytest
from servers.installation.commands import Command

from scheduler.access.first import keep_first
from scheduler.access.tokens import make_token
from worker.db.database import Database
from worker.runs.alive import Alive, process_name

pytestmark = pytest.mark.integration


def test_each_reference_is_opened_and_no_value_is_shown(
    headrace: Command, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "planted-value-of-a-token")
    monkeypatch.setenv("PLANTED_ID", "planted-value-of-an-id")
    monkeypatch.setenv("HEADRACE_VAULT_SECRET_ID", "env://PLANTED_ID")
    monkeypatch.setenv("VAULT_ADDR_TEST", "https://vault.test")
    monkeypatch.setenv("HEADRACE_VAULT_ROLE_ID_TEST", "env://NOT_SET_EITHER")
    database.run(
        "INSERT INTO connections (name, system, secrets) VALUES"
        """ ('opens', 'demo', '{"token": "env://PLANTED_TOKEN"}'), ('lacks', 'demo', '{"token": "env://NOT_SET_ANYWHERE"}')"""
    )
    told = headrace("secrets", "check", "--json")
    assert told.code == 1
    found = {each["holder"]: each for each in json.loads(told.out)}
    assert found["connection opens"]["opens"]
    assert not found["connection opens"]["writable"]
    assert found["HEADRACE_VAULT_SECRET_ID"]["opens"]
    assert not found["HEADRACE_VAULT_ROLE_ID_TEST"]["opens"]
    assert found["connection lacks"]["code"] == "secret_unresolved"
    shown = headrace("secrets", "check")
    assert "read only" in shown.out
    assert "planted-value" not in shown.out + shown.err + told.out


def test_the_doctor_tells_what_workers_say_of_their_secrets_and_who_may_have_any_file(
    headrace: Command, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = [
        {"code": "replaced_secret_unwritten", "what": "vault://live/cmms#refresh"},
        {"code": "secret_store_away", "what": "https://vault:8200", "why": "it is sealed"},
        {"code": "of a later version"},
    ]
    worker = Alive(database, "worker", troubles=lambda: troubles)
    worker.note()
    headrace("token", "create", "editor", "--scope", "admin", "--owner", "ann")
    headrace("token", "create", "narrow", "--scope", "admin", "--owner", "ann", "--secrets", "env://ACME_")
    keep_first(database, make_token("live"))

    found = [line for line in headrace("doctor", "--json").json if line["check"] == "secrets"]
    unwritten, away, reach = (line for line in found if line["level"] != "ok")
    assert (unwritten["level"], away["level"], reach["level"]) == ("fail", "warn", "warn")
    assert f"{process_name()} has the only copy" in unwritten["words"]
    assert "vault://live/cmms#refresh" in unwritten["words"]
    assert "don't kill that process" in unwritten["hint"]
    assert "https://vault:8200: it is sealed" in away["words"]
    assert "used for 1d" in away["hint"]
    assert reach["words"] == "editor (ann) may point a connection at any file that workers may read"

    troubles.clear()
    worker.note()
    monkeypatch.setenv("HEADRACE_SECRET_FILES", "/run/secrets")
    found = [line for line in headrace("doctor", "--json").json if line["check"] == "secrets"]
    assert [line["level"] for line in found] == ["ok"]
