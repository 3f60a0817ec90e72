"""A refresh token that its system replaces at each use: of many who spend it, none loses the one that came instead."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Lock
from urllib.parse import parse_qs

import httpx
import pytest

from worker.connectors.auth import Credential
from worker.connectors.auth.oauth2 import OAuth2
from worker.connectors.contract import Limits, Request, Response
from worker.db.advisory import SecretLocks
from worker.db.database import Database
from worker.errors import HeadraceError, NeedsOperator
from worker.http import rotation
from worker.http.rotation import Rotation
from worker.http.sender import CallContext, Sender
from worker.http.troubles import secret_troubles
from worker.limits.budget import Budgets
from worker.secrets.stores.known import STORES
from worker.secrets.stores.port import StoreUnavailable
from worker.telemetry.redaction import MASK, redactor
from worker.telemetry.steps import Steps

pytestmark = pytest.mark.integration


@dataclass
class Plant:
    """Takes a refresh token once, and revokes all of them when one comes twice; honours every access token."""

    good: str = "planted-refresh-0000"
    number: int = 0
    revoked: bool = False
    dies: bool = False
    """What it answers to a refresh is never seen."""
    expires_in: int = 3600
    lock: Lock = field(default_factory=Lock)
    hosts: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.hosts.append(request.url.host)
        if request.url.path == "/token":
            return self._token(parse_qs(request.content.decode())["refresh_token"][0])
        known = request.headers["authorization"].startswith("Bearer planted-access-")
        return httpx.Response(200 if known else 401, text="{}")

    def _token(self, given: str) -> httpx.Response:
        with self.lock:
            if given != self.good or self.revoked:
                self.revoked = True
                return httpx.Response(400, json={"error": "invalid_grant", "error_description": given})
            self.number += 1
            self.good = f"planted-refresh-{self.number:04}"
            answer = {
                "access_token": f"planted-access-{self.number:04}",
                "refresh_token": self.good,
                "expires_in": self.expires_in,
            }
        if self.dies:
            raise KeyboardInterrupt  # as the process does, between the answer and all that follows
        return httpx.Response(200, json=answer)


@dataclass(frozen=True)
class PlantSource:
    auth: OAuth2
    base_url: str = "https://plant.test/api"
    transport: str = "http"
    limits: Limits = field(default_factory=Limits)

    def stream(self, name: str) -> object:
        raise NotImplementedError(name)

    def failure(self, response: Response) -> HeadraceError | None:
        return NeedsOperator("auth_refused", "No.") if response.status == 401 else None


AUTH = OAuth2(
    token_url="https://login.elsewhere.test/token",
    grant="refresh_token",
    client_id=Credential(value="me"),
    refresh_token="refresh",
)


@dataclass
class Workers:
    """Processes that share a database and a file, each with a sender of its own."""

    plant: Plant
    database: Database
    budgets: Budgets
    file: Path

    def sender(self) -> Sender:
        return Sender(
            self.budgets,
            timeout=5,
            max_bytes=10_000,
            transport=httpx.MockTransport(self.plant),
            rotation=Rotation(SecretLocks(self.database)),
        )

    def ask(self, sender: Sender, connection: int = 1) -> Response:
        context = CallContext(
            connection_id=connection,
            account="plant",
            lane=3,
            source=PlantSource(AUTH),  # type: ignore[arg-type]
            secrets={"refresh": f"file://{self.file}"},
            request_id="r",
            steps=Steps(),
        )
        return sender.send(context, Request("GET", "assets"))


@pytest.fixture
def workers(database: Database, broker_url: str, tmp_path: Path) -> Iterator[Workers]:
    (tmp_path / "refresh").write_text("planted-refresh-0000")
    budgets = Budgets(broker_url, short_wait=2)
    yield Workers(Plant(), database, budgets, tmp_path / "refresh")
    budgets.close()


def test_many_who_refresh_at_once_spend_each_token_once_and_keep_the_last(workers: Workers) -> None:
    together = Barrier(6)

    def run(number: int) -> int:
        sender = workers.sender()
        together.wait(10)
        return workers.ask(sender, connection=number).status

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(run, range(6))) == [200] * 6
    assert not workers.plant.revoked
    assert workers.plant.number == 6
    assert workers.file.read_text() == workers.plant.good
    assert redactor.redact(workers.plant.good) == MASK


def test_a_token_that_is_good_is_used_on_though_what_it_was_got_with_was_replaced(workers: Workers) -> None:
    sender, other = workers.sender(), workers.sender()
    for _ in range(3):
        workers.ask(sender)
        workers.ask(other)
    assert workers.plant.number == 2


def test_a_token_is_renewed_before_it_ends(workers: Workers) -> None:
    workers.plant.expires_in = 0
    sender = workers.sender()
    workers.ask(sender)
    held = sender._held._held[1]
    held.ends = 0.0
    workers.ask(sender)
    assert workers.plant.number == 2


def test_only_what_asks_for_a_token_goes_to_where_tokens_are_given_out(workers: Workers) -> None:
    workers.ask(workers.sender())
    assert workers.plant.hosts == ["login.elsewhere.test", "plant.test"]


def test_a_store_that_can_not_be_written_spends_no_token(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STORES["file"], "writable", lambda _name: False)
    with pytest.raises(NeedsOperator, match="can't be written") as caught:
        workers.ask(workers.sender())
    assert caught.value.code == "secret_not_writable"
    assert workers.plant.number == 0


def test_what_came_is_written_when_the_store_is_back(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "AT_ONCE", (0.0,))
    monkeypatch.setattr(rotation, "AGAIN_EVERY", 3600.0)
    sender = workers.sender()

    def away(*_: str) -> bool:
        raise StoreUnavailable("the store", "it is away")

    with monkeypatch.context() as patched:
        patched.setattr(STORES["file"], "compare_and_set", away)
        assert workers.ask(sender).status == 200
    assert workers.file.read_text() == "planted-refresh-0000"
    assert secret_troubles() == [{"code": "replaced_secret_unwritten", "what": f"file://{workers.file}"}]
    sender._held._held[1].ends = 0.0
    assert workers.ask(sender).status == 200
    assert not workers.plant.revoked
    assert workers.file.read_text() == workers.plant.good == "planted-refresh-0002"
    assert secret_troubles() == []


def test_what_a_person_put_there_meanwhile_stays(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    compare = STORES["file"].compare_and_set

    def slow(name: str, expected: str, value: str) -> bool:
        workers.file.write_text("planted-by-a-person")
        return compare(name, expected, value)

    monkeypatch.setattr(STORES["file"], "compare_and_set", slow)
    assert workers.ask(workers.sender()).status == 200
    assert workers.file.read_text() == "planted-by-a-person"


def test_a_process_that_dies_after_the_answer_leaves_words_that_say_what_to_do(workers: Workers) -> None:
    workers.plant.dies = True
    with pytest.raises(KeyboardInterrupt):
        workers.ask(workers.sender())
    workers.plant.dies = False
    with pytest.raises(NeedsOperator) as caught:
        workers.ask(workers.sender())
    assert caught.value.code == "needs_authorisation"
    assert "spent by a worker that died" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_a_lock_ends_with_its_holder(workers: Workers, database: Database) -> None:
    locks = SecretLocks(database)

    def die() -> None:
        with locks.hold("vault://x#y"):
            database.run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")

    die()
    with locks.hold("vault://x#y"):
        found = database.one("SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND granted")
        assert found == {"n": 1}


def test_what_is_kept_holds_no_plain_secret(workers: Workers) -> None:
    sender = workers.sender()
    workers.ask(sender)
    assert "planted" not in json.dumps({key: repr(value) for key, value in sender._held._held.items()})
