"""Secrets are planted where they belong, and everything goes wrong that can: nowhere else are they found again.

The search itself is tried with a decoy in each place.
"""

import base64
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from servers.installation.stack import Part, Stack
from servers.installation.traces import all_stores, flower_pages, forms, leaks
from servers.network.listening import HttpProxy
from servers.secrets.aws import running_aws
from servers.secrets.azure import Azure, running_azure
from servers.secrets.bao import ROOT, Bao, running_bao
from servers.systems.consenting import CLIENT, CLIENT_SECRET, Consenting, consenting, write_manifest
from servers.systems.leaky import STREAMS, WAITS, add_leaky_systems, repeat
from servers.systems.scripted import Scripted, scripted_source
from servers.waiting import wait_until

from scheduler.access.tokens import make_token
from scheduler.connections.apply import apply
from scheduler.embedded.ports import free_port
from scheduler.embedded.supervisor.processes import spawn
from scheduler.feed.subscriptions import add_named
from worker.app import RUN_TASK, celery_app
from worker.parsing.documents import read_document

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

MARK = "pl4nted"
"""All that we plant begins so: an error that was cut to size in the middle of a secret is found by it."""
ENV_TOKEN = "pl4nted-env/t0ken+with=odd&signs%41"
FILE_TOKEN = "pl4nted-file-t0ken-aeiou-12345"
PASSWORD = "pl4nted:basic/p4ssword?"
VAULT_FIELD, AWS_FIELD = "pl4nted-vault/f1eld+a", "pl4nted-aws-f1eld=b"
NEIGHBOUR = "pl4nted-neighbour-in-the-same-secret"
AZURE_VALUE = "pl4nted-azure/v4lue"
REFRESH = "pl4nted-refresh-t0ken"
PROXY = "headrace:pl4nted-proxy/p4ssword"
HOOK = "whsec_" + base64.b64encode(b"pl4nted-key-that-signs-events").decode()
VAULT_PORT, AWS_PORT, AZURE_PORT, IDENTITY_PORT = (free_port() for _ in range(4))
STORES = Path(tempfile.mkdtemp(prefix="headrace-stores-"))
"""Where the stores of these tests are, which are named to the workers before they run."""
API_TOKEN = make_token("live", bits=0x706C346E746564 << 64)
SETTINGS = {
    "HEADRACE_LOG_LEVEL": "DEBUG",
    "HEADRACE_TASK_EVENTS": "true",
    "HEADRACE_MAX_ATTEMPTS": "2",
    "HEADRACE_API_TOKEN": API_TOKEN,
    "HEADRACE_FLOWER_PORT": "0",
    "PLANTED_ENV_TOKEN": ENV_TOKEN,
    "PLANTED_PROXY": PROXY.partition(":")[2],
    "PLANTED_CLIENT": CLIENT,
    "PLANTED_CLIENT_SECRET": CLIENT_SECRET,
    "VAULT_ADDR": f"http://127.0.0.1:{VAULT_PORT}",
    "VAULT_TOKEN": ROOT,
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{AWS_PORT}",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "anybody",
    "AWS_SECRET_ACCESS_KEY": "pl4nted-aws-access",
    "AWS_EC2_METADATA_DISABLED": "true",
    **Azure(STORES, port=AZURE_PORT, identity_port=IDENTITY_PORT).environment,
}


def add_systems(folder: Path) -> None:
    add_leaky_systems(folder)
    write_manifest(folder)


@dataclass
class Planted:
    """Who hands out secrets of their own, which must be found nowhere either."""

    azure: Azure
    oauth: Consenting
    bao: Bao


@pytest.fixture
def planted() -> Iterator[Planted]:
    """All stores, each with what is planted in it, and a system that replaces the refresh token that lies in one."""
    with (
        running_bao(_folder("vault"), VAULT_PORT) as bao,
        running_aws(_folder("aws"), AWS_PORT) as aws,
        running_azure(STORES, AZURE_PORT, IDENTITY_PORT) as azure,
        consenting() as oauth,
    ):
        bao.put("app/cmms", token=VAULT_FIELD, other=NEIGHBOUR)
        bao.put("app/oauth", refresh=REFRESH)
        fields = json.dumps({"token": AWS_FIELD, "other": NEIGHBOUR})
        aws.client().create_secret(Name="app/cmms", SecretString=fields)
        aws.client().create_secret(Name="app/hook", SecretString=HOOK)
        azure.put("cmms", AZURE_VALUE)
        oauth.refresh, oauth.forbidden = {REFRESH}, frozenset({"orders"})
        yield Planted(azure, oauth, bao)
    shutil.rmtree(STORES)


def _folder(name: str) -> Path:
    (STORES / name).mkdir()
    return STORES / name


@pytest.fixture
def told(stack: Stack, planted: Planted, tmp_path: Path) -> Iterator[Mapping[str, bytes]]:
    """All that can be found after every stream failed in its own way, and after a fault of our own."""
    (tmp_path / "token").write_text(FILE_TOKEN + "\n")
    (tmp_path / "password").write_text(PASSWORD)
    with (
        scripted_source(repeat) as source,
        closing(HttpProxy({"127.0.0.1": _port(source)}, login=PROXY)) as proxy,
    ):
        connect(stack, source.base_url, tmp_path, planted, proxy)
        wait_until(lambda: settled(stack), 40, what="the end of the first attempts")
        proofs = {asked.headers.get("authorization", "").removeprefix("Bearer ") for asked in source.asked}
        assert proofs >= {ENV_TOKEN, FILE_TOKEN, VAULT_FIELD, AWS_FIELD, AZURE_VALUE}
        crash(stack)
        stack.freeze("main-1")
        stack.all(
            "UPDATE streams SET next_run_at = now() WHERE enabled RETURNING id"
        )  # some messages stay in Valkey
        wait_until(lambda: stack.redis().llen("headrace:sync.leaky"), what="messages")
        flower = start_flower(stack)
        stack.thaw("main-1")
        wait_until(lambda: json.loads(flower_pages(*flower)["Flower /api/tasks"]), 20, what="tasks in Flower")
        said = commands(stack)
        yield all_stores(stack, flower_pages(*flower)) | said


def _port(source: Scripted) -> int:
    return int(source.base_url.rpartition(":")[2])


def connect(stack: Stack, base_url: str, folder: Path, planted: Planted, proxy: HttpProxy) -> None:
    references = {
        "env": ("leaky", "env://PLANTED_ENV_TOKEN"),
        "file": ("leaky", f"file://{folder}/token"),
        "basic": ("leakybasic", f"file://{folder}/password"),
        "vault": ("leaky", "vault://secret/app/cmms#token"),
        "aws": ("leaky", "aws-sm://app/cmms#token"),
        "azure": ("leaky", "azure-kv://plant/cmms"),
    }
    connections = [
        {
            "id": f"by-{how}-{kind}",
            "system": system,
            "settings": {"base_url": base_url, **({"user": "somebody"} if how == "basic" else {})},
            "schedule": {"every": "7d"},
            "secrets": {"token": reference},
            "streams": {name: {"enabled": False} for name in off},
        }
        for how, (system, reference) in references.items()
        for kind, off in (("fails", WAITS), ("waits", STREAMS))
    ]
    connections += [by_proxy(base_url, proxy), by_oauth(planted.oauth)]
    text = json.dumps({"version": 1, "connections": connections})
    apply(stack.database, stack.registry, read_document(text.encode(), "planted"))
    add_named(stack.database, "hook", "http://127.0.0.1:9/hook", "aws-sm://app/hook", begin="beginning")


def by_proxy(base_url: str, proxy: HttpProxy) -> dict[str, object]:
    return {
        "id": "by-proxy",
        "system": "leaky",
        "settings": {"base_url": base_url},
        "schedule": {"every": "7d"},
        "secrets": {"token": "env://PLANTED_ENV_TOKEN"},
        "network": {
            "proxy": f"http://127.0.0.1:{proxy.port}",
            "proxy_user": PROXY.partition(":")[0],
            "proxy_password": "env://PLANTED_PROXY",
        },
        "streams": {name: {"enabled": False} for name in (*WAITS, *STREAMS[2:])},
    }


def by_oauth(oauth: Consenting) -> dict[str, object]:
    return {
        "id": "by-oauth",
        "system": "consenting",
        "settings": {"port": oauth.port},
        "schedule": {"every": "7d"},
        "secrets": {
            "client_id": "env://PLANTED_CLIENT",
            "client_secret": "env://PLANTED_CLIENT_SECRET",
            "refresh_token": "vault://secret/app/oauth#refresh",
        },
    }


def settled(stack: Stack) -> bool:
    """Every stream has a run behind it, or one that waits with its error, and what signs events was opened."""
    told = stack.one(
        "SELECT count(*) AS n FROM streams s WHERE s.enabled AND (s.last_outcome IS NOT NULL"
        " OR EXISTS (SELECT FROM runs r WHERE r.stream_id = s.id AND r.error IS NOT NULL))"
    )
    signed = stack.one(
        "SELECT count(*) AS n FROM subscriptions WHERE last_error LIKE %(why)s", why="%loopback%"
    )
    return bool(told["n"] == 6 * len((*STREAMS, *WAITS)) + 4 and signed["n"])


def crash(stack: Stack) -> None:
    """A fault that nobody foresaw, with a traceback through everything that holds a secret."""
    stack.database.run("ALTER TABLE cursors RENAME TO cursors_away")
    stack.all("UPDATE streams SET next_run_at = now() WHERE name = 'well' RETURNING id")
    wait_until(lambda: stack.logged("run_crashed") or tracebacks(stack), 20, what="a traceback")
    stack.database.run("ALTER TABLE cursors_away RENAME TO cursors")


def tracebacks(stack: Stack) -> bool:
    return any(b"Traceback" in part.log.read_bytes() for part in stack.parts.values())


def start_flower(stack: Stack) -> tuple[str, tuple[str, str]]:
    stack.ensure("flower-1")
    port = stack.events("flower-1", "flower_listens")[-1]["port"]
    return f"http://127.0.0.1:{port}/flower", (
        "headrace",
        (stack.home / "flower-password").read_text().strip(),
    )


def commands(stack: Stack) -> dict[str, bytes]:
    """What people are shown."""
    asked = (["runs", "--json"], ["doctor"], ["export-config"], ["secrets", "check", "--json"])
    return {f"headrace {' '.join(words)}": stack.command(*words).stdout.encode() for words in asked}


def test_planted_secrets_are_found_nowhere(stack: Stack, planted: Planted, told: Mapping[str, bytes]) -> None:
    azure, oauth = planted.azure, planted.oauth
    assert azure.tokens
    assert planted.bao.fields("app/oauth")["refresh"] in oauth.refresh, "the token that came instead was kept"
    secrets = {
        "the field in Vault": VAULT_FIELD,
        "the field in AWS": AWS_FIELD,
        "the field beside them": NEIGHBOUR,
        "the value in Azure": AZURE_VALUE,
        "what lets us into Vault": ROOT,
        "what lets us into AWS": SETTINGS["AWS_SECRET_ACCESS_KEY"],
        "what lets us into Azure": azure.tokens[-1],
        "the beginning of one of ours, cut off": MARK,
        "what signs events": HOOK,
        "the proxy's password": PROXY.partition(":")[2],
        "the secret of our client": CLIENT_SECRET,
        "a token that was spent": REFRESH,
        **{f"token {number} that was given out": text for number, text in enumerate(oauth.given_out)},
        "the token from the environment": ENV_TOKEN,
        "the token from a file": FILE_TOKEN,
        "the password of a log-in": PASSWORD,
        "the API's token": API_TOKEN,
        "the database's password": str(conninfo_to_dict(stack.postgres.url)["password"]),
        "the broker's password": str(stack.valkey.url.split(":")[2].split("@")[0]),
        "Flower's password": (stack.home / "flower-password").read_text().strip(),
    }
    # There was something to leak: the words that repeated it were kept, masked.
    kept = b"".join(content for name, content in told.items() if name.startswith("table run"))
    assert kept.count(b"I don't like [redacted] at all, [redacted], [redacted]") >= 3
    assert b"Traceback" in told["log main-1.log"]
    assert not (found := leaks(secrets, told)), "\n".join(found)


def test_the_search_finds_a_decoy_wherever_it_is_planted(stack: Stack) -> None:
    decoy = "d3coy/with+odd=signs&12345%zz"
    stack.ensure("flower-1")
    with (stack.home / "main-1.log").open("a") as log:
        log.write(f"\n{forms(decoy)['in JSON'].decode()}\n")
    stack.all("INSERT INTO connections (name, system) VALUES (%(decoy)s, 'leaky') RETURNING id", decoy=decoy)
    with stack.redis() as client:
        client.hset("decoys", "field", forms("ab" + decoy)["in base64 after 0"])
    waits = "import sys, threading; threading.Event().wait(60)"
    child = spawn([sys.executable, "-c", waits, decoy], log=-3, env={}, folder=stack.home)  # -3: nowhere
    stack.parts["decoy-1"] = Part(child, stack.home / "decoy-1.log", {})
    try:
        flower = start_flower(stack)

        def shown() -> list[str]:
            # Again each time: Flower shows nothing of what was done before it began to listen to the workers.
            celery_app.send_task(RUN_TASK, args=(decoy,), queue="ctl")
            return leaks({"decoy": decoy}, flower_pages(*flower))

        wait_until(shown, 20, what="the decoy's task in Flower")
        found = leaks({"decoy": decoy}, all_stores(stack, flower_pages(*flower)))
    finally:
        child.kill()
        del stack.parts["decoy-1"]
    for store in ("log main-1.log", "table connections", "Valkey", "arguments of processes", "Flower /task/"):
        assert any(f" in {store}" in place for place in found), f"the search is blind in {store}"
    for form, needle in forms(decoy).items():
        assert leaks({"decoy": decoy}, {"a text": b"xx " + needle + b" yy"}), form
