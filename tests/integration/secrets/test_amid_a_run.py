"""What happens to a secret while a run of many pages uses it: rotated in a real store, or its store goes away.

The system refuses the old key from one request to the next, as systems do; nothing is restarted, and no run fails.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
import structlog
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.postgres import PostgresServer
from servers.secrets.aws import Aws
from servers.secrets.azure import Azure
from servers.secrets.bao import ROOT, Bao, running_bao
from servers.secrets.fresh import Begin
from servers.systems.inline import InlineRuns
from servers.systems.scripted import Asked, Said, scripted_source

from scheduler.embedded.ports import free_port
from scheduler.embedded.valkey import EmbeddedValkey
from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.http.troubles import secret_troubles
from worker.http.wire.process import close_shared_wire
from worker.secrets.stores.known import STORES
from worker.services import Services

pytestmark = pytest.mark.integration

THINGS, SIZE, AMID = 115, 10, 50
MANIFEST = """\
manifest: 1
system: shelf
title: Shelf
protocol: rest
base_url: "{base_url}"
settings: {base_url: {required: true, description: Where it lives.}}
secrets: {token: {description: What it asks for.}}
auth: {bearer: {secret: token}}
limits: {concurrency: 4}
defaults: {records: items, key: id, path: /things}
streams:
  things: {total: total, paging: {offset: {param: offset, limit_param: limit, size: 10, stable: true}}}
"""


@dataclass(frozen=True)
class Kept:
    """A secret in a store, by whatever client the store's administrator has."""

    reference: str
    put: Callable[[str], object]
    environment: Mapping[str, str]

    @property
    def scheme(self) -> str:
        return self.reference.partition(":")[0]


@dataclass
class Shelf:
    """Gives its things to whoever has the key, page by page; `amid` happens once, before a page in the middle is given."""

    key: str
    amid: Callable[[], object]
    given: list[int] = field(default_factory=list)
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    happened: bool = False

    def __call__(self, asked: Asked) -> Said:
        query = parse_qs(urlsplit(asked.path).query)
        place = int(query["offset"][0])
        with self.lock:
            if place >= AMID and not self.happened:
                self.happened = True
                self.amid()
            if asked.headers["authorization"] != f"Bearer {self.key}":
                self.refused += 1
                return Said(b'{"error": "who are you?"}', 401)
            self.given.append(place)
        items = [{"id": number} for number in range(place, min(place + SIZE, THINGS))]
        return Said(json.dumps({"total": THINGS, "items": items}).encode())


@dataclass
class Runs(InlineRuns):
    """One connection to the shelf, whose runs are carried out here."""

    system = "shelf"

    services: Services
    connection: int = 0

    def sync(self, shelf: Shelf, reference: str) -> dict[str, Any]:
        """How the one run ended that all of this was."""
        with self.begun(shelf, reference) as run:
            return self.outcome(run)

    @contextmanager
    def begun(self, shelf: Shelf, reference: str) -> Iterator[UUID]:
        """A run that was carried out once; in the end, all was copied by it, and nothing failed beside it."""
        database = self.services.database
        for table in ("connections", "runs", "run_history", "records"):
            database.run(f"DELETE FROM {table}")
        with scripted_source(shelf) as source:
            row = database.one(
                "INSERT INTO connections (name, system, settings, secrets) VALUES ('s', 'shelf', %(s)s, %(t)s)"
                " RETURNING id",
                {"s": Jsonb({"base_url": source.base_url}), "t": Jsonb({"token": reference})},
            )
            assert row is not None
            self.connection = row["id"]
            run = self.request(self.stream("things"))
            carry_out(self.services, run)
            yield run
        assert sorted(shelf.given) == list(range(0, THINGS, SIZE)), "each page was given once"
        copied = database.all("SELECT key FROM records WHERE deleted_at IS NULL")
        assert {int(each["key"]) for each in copied} == set(range(THINGS))
        assert not database.all("SELECT state FROM run_history WHERE id <> %(run)s", {"run": run})


@pytest.fixture(scope="module")
def runs(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("connectors")
    (folder / "shelf").mkdir()
    (folder / "shelf" / "manifest.yaml").write_text(MANIFEST)
    with postgres_server.fresh_database() as url:
        services = Services.open(
            load_settings(
                database_url=SecretStr(url), broker_url=SecretStr(valkey_server.url), connectors=(folder,)
            ),
            name="test",
        )
        yield Runs(services)
        services.close()
    close_shared_wire()


@pytest.fixture(params=["vault", "aws-sm", "azure-kv"])
def kept(request: pytest.FixtureRequest) -> Kept:
    """The same secret in each of the stores."""
    if request.param == "vault":
        bao: Bao = request.getfixturevalue("bao")
        environment = {"VAULT_ADDR": bao.url, "VAULT_TOKEN": bao.token("reads")}
        return Kept(
            "vault://secret/amid/run#token", lambda value: bao.put("amid/run", token=value), environment
        )
    if request.param == "azure-kv":
        azure: Azure = request.getfixturevalue("azure")
        return Kept("azure-kv://plant/amid", lambda value: azure.put("amid", value), azure.environment)
    aws: Aws = request.getfixturevalue("aws")
    name, client = f"amid/{uuid4().hex[:8]}", aws.client()
    client.create_secret(Name=name, SecretString="planted-none-yet")
    environment = {"AWS_ENDPOINT_URL": aws.url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "anybody"}
    return Kept(
        f"aws-sm://{name}",
        lambda value: client.put_secret_value(SecretId=name, SecretString=value),
        environment,
    )


def test_a_rotation_amid_a_run_is_taken_up_by_it_with_one_more_reading(
    runs: Runs, kept: Kept, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.put("planted-old-key")
    begin(kept.environment)
    read, reads = STORES[kept.scheme].read, []
    monkeypatch.setattr(STORES[kept.scheme], "read", lambda name: (reads.append(name), read(name))[1])

    def rotate() -> None:
        kept.put("planted-new-key")
        shelf.key = "planted-new-key"

    shelf = Shelf("planted-old-key", rotate)
    assert runs.sync(shelf, kept.reference)["state"] == "succeeded"
    assert shelf.refused >= 1
    assert len(reads) == 2, "once at the beginning, and once for all that were refused"


def test_a_store_that_goes_down_amid_a_run_leaves_it_what_it_holds_and_that_is_said(
    runs: Runs, begin: Begin, tmp_path: Path
) -> None:
    with running_bao(tmp_path) as mine, structlog.testing.capture_logs() as told:
        mine.put("amid/run", token="planted-held-key")
        begin({"VAULT_ADDR": mine.url, "VAULT_TOKEN": ROOT})

        def fall() -> None:
            mine.ask("POST", "sys/seal")
            begin.now += 301  # from here on it is to be read again

        run = runs.sync(Shelf("planted-held-key", fall), "vault://secret/amid/run#token")
        assert run["state"] == "succeeded"
        assert [each["store"] for each in told if each["event"] == "secret_store_away"] == [mine.url]
        (trouble,) = secret_troubles()
        assert (trouble["code"], trouble["what"]) == ("secret_store_away", mine.url)
        assert "sealed" in trouble["why"].lower()
        assert any(step.get("stores_away") for step in run["steps"]), run["steps"]


def test_a_store_that_is_down_at_the_start_is_waited_for(runs: Runs, begin: Begin, tmp_path: Path) -> None:
    port = free_port()
    begin({"VAULT_ADDR": f"http://127.0.0.1:{port}", "VAULT_TOKEN": ROOT})
    shelf = Shelf("planted-late-key", lambda: None)
    with runs.begun(shelf, "vault://secret/amid/run#token") as run:
        waiting = runs.outcome(run)
        assert (waiting["state"], waiting["error_code"]) == ("queued", "secret_store_unavailable")
        assert "it can't be reached. Is it up, unsealed, and reachable from this worker?" in waiting["error"]
        assert (shelf.given, shelf.refused) == ([], 0), "nothing was sent without a key"
        with running_bao(tmp_path, port) as mine:
            mine.put("amid/run", token="planted-late-key")
            begin.now += 6
            runs.services.database.run("UPDATE runs SET not_before = now()")
            carry_out(runs.services, run)
        assert runs.outcome(run)["state"] == "succeeded"
