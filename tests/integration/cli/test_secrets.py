"""`headrace secrets check`: which references lead to a value, without a byte of it."""

import json

import pytest
from servers.installation.commands import Command

from worker.db.database import Database

pytestmark = pytest.mark.integration


def test_each_reference_is_opened_and_no_value_is_shown(
    headrace: Command, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "planted-value-of-a-token")
    database.run(
        "INSERT INTO connections (name, system, secrets) VALUES"
        """ ('opens', 'demo', '{"token": "env://PLANTED_TOKEN"}'), ('lacks', 'demo', '{"token": "env://NOT_SET_ANYWHERE"}')"""
    )
    told = headrace("secrets", "check", "--json")
    assert told.code == 1
    found = {each["holder"]: each for each in json.loads(told.out)}
    assert found["connection opens"]["opens"]
    assert not found["connection opens"]["writable"]
    assert found["connection lacks"]["code"] == "secret_unresolved"
    shown = headrace("secrets", "check")
    assert "read only" in shown.out
    assert "planted-value" not in shown.out + shown.err + told.out
