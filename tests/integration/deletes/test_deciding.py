"""People look at deletes that are held and decide on them: by the command line, and by the API."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from servers.installation.api import TOKEN
from servers.installation.application import Application

from scheduler.cli.entry import run as headrace
from scheduler.health.trust import look_at_trust
from worker.engine.perform import carry_out

from .conftest import Desk  # type: ignore[import-not-found]
from .test_evidence import keys  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration

PLACE = "/v1/connections/plant/streams/parts/deletes"
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def held(desk: Desk) -> int:
    stream: int = desk.synced(60, "parts")
    desk.store.drop(*keys(25))
    desk.sweep(stream)
    return stream


@pytest.fixture
def said(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    broker_url: str,
) -> Said:
    """What a command line says: its exit code, stdout and stderr."""
    monkeypatch.setenv("HEADRACE_DATABASE_URL", database_url)
    monkeypatch.setenv("HEADRACE_BROKER_URL", broker_url)

    def say(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = headrace(["deletes", *arguments])
        return (code, *capsys.readouterr())

    return say


class Client:
    """Asks for the deletes of one stream."""

    def __init__(self, desk: Desk, token: str = TOKEN) -> None:
        self._application = Application(desk.services.database, token)

    def get(self, **params: Any) -> httpx.Response:
        return self._application.get(PLACE, **params)

    def post(self, **body: Any) -> httpx.Response:
        return self._application.post(PLACE, body)


@pytest.fixture
def client(desk: Desk) -> Client:
    return Client(desk)


def carry_out_queued(desk: Desk) -> None:
    for row in desk.all("SELECT id FROM runs"):
        carry_out(desk.services, row["id"])


def test_the_list_names_streams_that_wait_and_what_to_do(desk: Desk, said: Said) -> None:
    code, out, _ = said()
    assert (code, out.strip()) == (0, "No deletes wait for a decision.")
    stream = desk.synced(60, "parts")
    desk.store.drop(*keys(25))
    desk.sweep(stream)
    _, out, _ = said("plant")
    assert "parts" in out
    assert "--review" in out


@pytest.mark.usefixtures("held")
def test_a_review_shows_who_is_missing_with_the_last_content(said: Said) -> None:
    code, out, err = said("plant", "parts", "--review", "--limit", "3")
    assert code == 0
    assert "25 of 60 records (41.7 %)" in " ".join(out.split())
    assert "r0000" in out
    assert '"id": "r0002"' in out
    assert "r0003" not in out
    assert "3 of 25" in err
    _, out, _ = said("plant", "parts", "--review", "--json")
    found = json.loads(out)
    assert (found["held"], found["examples"][0]["raw"]["id"]) == (25, "r0000")
    assert found["last_sweep"]["missing"] == 25


def test_accept_asks_for_the_run_that_deletes(desk: Desk, held: int, said: Said) -> None:
    code, out, _ = said("plant", "parts", "--accept", "--json")
    (run,) = desk.all("SELECT * FROM runs")
    assert (code, json.loads(out)) == (0, {"run": str(run["id"]), "count": 25})
    assert len(desk.copy(held)) == 60, "a command deletes nothing itself"
    carry_out_queued(desk)
    assert len(desk.tombstones(held)) == 25


def test_reject_forgets(desk: Desk, held: int, said: Said) -> None:
    code, out, _ = said("plant", "parts", "--reject")
    assert code == 0
    assert "25 suspects are forgotten" in out
    assert desk.suspects(held) == {}
    code, _, err = said("plant", "parts", "--reject")
    assert code != 0
    assert "No deletes of plant parts are held." in err


def test_no_sweep_is_asked_for_of_a_connection_that_is_paused(desk: Desk, said: Said) -> None:
    desk.synced(10, "parts")
    desk.services.database.run("UPDATE connections SET paused_at = now()")
    code, _, words = said("plant", "parts", "--sweep")
    assert (code, "plant is paused" in words) == (2, True)


def test_a_sweep_can_be_asked_for(desk: Desk, said: Said) -> None:
    stream = desk.synced(10, "parts")
    assert said("plant", "parts", "--sweep")[0] == 0
    assert desk.one("SELECT track, cause, scope FROM runs") == {"track": "sweep", "cause": "cli", "scope": {}}
    carry_out_queued(desk)
    assert desk.last_sweep(stream)["verdict"] == "complete"


@pytest.mark.parametrize(
    "arguments", [("--review",), ("plant", "--accept"), ("plant", "parts", "--accept", "--reject")]
)
def test_a_wrong_command_line_is_told(said: Said, arguments: tuple[str, ...]) -> None:
    assert said(*arguments)[0] == 2


@pytest.mark.usefixtures("held")
def test_the_api_shows_the_same(client: Client) -> None:
    found: dict[str, Any] = client.get(limit=2).json()
    assert (found["connection"], found["stream"], found["held"]) == ("plant", "parts", 25)
    assert [each["key"] for each in found["examples"]] == ["r0000", "r0001"]
    assert found["examples"][0]["raw"]["id"] == "r0000"
    assert found["fuse"]["count"] == 25


def test_the_api_accepts_what_was_looked_at_and_nothing_else(desk: Desk, held: int, client: Client) -> None:
    number = client.get().json()["fuse"]["number"]
    refused = client.post(decision="accept", number=number + 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "other_deletes")
    done = client.post(decision="accept", number=number)
    assert (done.status_code, done.json()["count"]) == (202, 25)
    assert done.headers["Location"] == f"/v1/runs/{done.json()['run']}"
    carry_out_queued(desk)
    assert len(desk.tombstones(held)) == 25
    assert client.post(decision="accept").status_code == 409


def test_the_api_rejects(desk: Desk, held: int, client: Client) -> None:
    done = client.post(decision="reject")
    assert (done.status_code, done.json()) == (200, {"forgotten": 25})
    assert desk.suspects(held) == {}


@pytest.mark.parametrize("body", [{}, {"decision": "maybe"}, {"decision": "accept", "extra": 1}])
def test_a_decision_that_is_none_is_refused(client: Client, body: dict[str, Any]) -> None:
    assert client.post(**body).status_code == 422


def test_a_stranger_sees_and_decides_nothing(desk: Desk) -> None:
    stranger = Client(desk, token="another")
    assert stranger.get().status_code == 401
    assert stranger.post(decision="accept").status_code == 401


def test_the_doctor_tells_of_deletes_that_wait_for_somebody_until_somebody_decided(
    desk: Desk, held: int
) -> None:
    def waiting() -> list[str | None]:
        return [look.hint for look in look_at_trust(desk.services.database) if look.check == "deletes"]

    assert waiting() == ["Look at them with `headrace deletes plant parts --review`."]
    assert Client(desk).post(decision="reject").status_code == 200
    assert waiting() == []
