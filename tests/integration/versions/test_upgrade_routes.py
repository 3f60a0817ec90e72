"""The routes of versions."""

from collections.abc import Iterator

import pytest
from servers.installation.application import Application
from servers.systems.versioned import Plant

from scheduler.access.audit import COMMAND_LINE
from scheduler.access.issuing.grants import Grant
from scheduler.access.issuing.issue import issue
from scheduler.access.principal import Scope
from scheduler.connections.systems import forget_systems

pytestmark = pytest.mark.integration


@pytest.fixture
def api(
    ours: Plant, monkeypatch: pytest.MonkeyPatch, database_url: str, broker_url: str
) -> Iterator[Application]:
    monkeypatch.setenv("HEADRACE_DATABASE_URL", database_url)
    monkeypatch.setenv("HEADRACE_BROKER_URL", broker_url)
    monkeypatch.setenv("HEADRACE_CONNECTORS", str(ours.folder))
    ours.write("2.0.0", key="number")
    forget_systems()
    yield Application(ours.services.database)
    forget_systems()


def test_versions_are_listed_from_the_newest_with_who_uses_them(api: Application, ours: Plant) -> None:
    found = api.read("/v1/systems/ours/versions")["versions"]
    assert [(each["version"][:5], each["current"], each["connections"]) for each in found] == [
        ("2.0.0", True, 0),
        ("1.0.0", False, 1),
    ]
    assert api.get("/v1/systems/nobodys/versions").status_code == 404


def test_an_upgrade_is_told_first_and_then_done_and_back(api: Application, ours: Plant) -> None:
    stream, pin = ours.stream("parts"), ours.row()["manifest_version"]
    ours.sync(stream)
    told = api.post("/v1/connections/plant/upgrade", {"dry_run": True}).json()
    assert (told["done"], told["from"], told["cost"]["parts"]["held"]) == (False, pin, 3)
    assert ours.row()["manifest_version"] == pin
    done = api.post("/v1/connections/plant/upgrade", {})
    assert (done.status_code, done.json()["done"]) == (200, True)
    assert not api.post("/v1/connections/plant/upgrade", {}).json()["done"]
    assert api.post("/v1/connections/plant/upgrade", {"to": pin}).json()["to"] == pin
    assert ours.row()["manifest_version"] == pin
    acts = ours.services.database.all(
        "SELECT actor, detail FROM audit WHERE action = 'connection.upgrade' ORDER BY id"
    )
    assert [(act["actor"] != "cli", act["detail"]["to"]) for act in acts] == [(True, told["to"]), (True, pin)]


def test_what_a_version_needs_goes_along_as_far_as_the_token_may_point(api: Application, ours: Plant) -> None:
    needs = "  region: {required: true, description: Which.}\nsecrets:\n  token: {required: true, description: Whose.}\n"
    ours.write("3.0.0", key="number", settings=needs)
    grant = Grant("live", frozenset({Scope.ADMIN}), secret_prefixes=("env://OURS_",))
    token = issue(ours.services.database, COMMAND_LINE, None, name="t", owner="t", grant=grant).token
    limited, pin = api.shown(token), ours.row()["manifest_version"]

    def asked(secret: str) -> tuple[int, str]:
        body = {"settings": {"region": "eu"}, "secrets": {"token": secret}}
        answer = limited.post("/v1/connections/plant/upgrade", body)
        assert secret not in answer.text
        return answer.status_code, answer.json().get("code", "")

    assert limited.post("/v1/connections/plant/upgrade", {}).json()["code"] == "missing_key"
    assert asked("env://THEIRS") == (403, "secret_not_allowed")
    assert asked("in plain words")[0] == 422
    assert ours.row()["manifest_version"] == pin
    assert asked("env://OURS_TOKEN") == (200, "")
    row = ours.row()
    assert (row["settings"]["region"], row["secrets"]) == ("eu", {"token": "env://OURS_TOKEN"})


def test_a_version_that_is_nowhere_is_not_found(api: Application) -> None:
    assert api.post("/v1/connections/plant/upgrade", {"to": "9.0.0"}).status_code == 404
