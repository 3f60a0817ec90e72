"""The commands of docs/webhooks.md, carried out in their order by one shell, as somebody would who has nothing yet."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from servers.installation.api import Server, serving
from servers.postgres import PostgresServer

from scheduler.access.tokens import make_token
from scheduler.cli.commands.demo import connect_demo
from scheduler.embedded.valkey import EmbeddedValkey
from worker.config import load_settings
from worker.connectors.manifest.model import load_manifest
from worker.db.database import Database

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
[MANIFEST] = [block for block in BLOCKS if "manifest.yaml" in block]
MARK = "-- next --"
"""Between the output of two blocks."""
TOKEN = make_token("test", bits=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody works: the home is in it, and the system is described before anything starts."""
    made = tmp_path_factory.mktemp("stranger")
    (made / ".headrace").mkdir(mode=0o700)
    (made / ".headrace" / "demo-port").write_text("9\n")
    (made / ".headrace" / "api-token-test").write_text(TOKEN)  # the API lets in what is kept there
    subprocess.run(["bash", "-euc", MANIFEST], cwd=made, check=True, timeout=20)
    return made


@pytest.fixture(scope="module")
def told(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, folder: Path
) -> Iterator[tuple[Server, list[str]]]:
    """The API, and what each block printed."""
    home = folder / ".headrace"
    systems = {"HEADRACE_CONNECTORS": str(folder / "systems")}
    with (
        postgres_server.fresh_database() as url,
        serving(url, valkey_server.url, home, **systems) as server,
    ):
        database = Database(url, name="page", pool=1)
        connect_demo(load_settings(home=home), database, "http://127.0.0.1:9")
        database.close()
        settings = {"HEADRACE_DATABASE_URL": url, "HEADRACE_BROKER_URL": valkey_server.url}
        yield server, carried_out(folder, server, systems | settings | {"HEADRACE_HOME": str(home)})


def carried_out(folder: Path, server: Server, settings: Mapping[str, str]) -> list[str]:
    tools = folder / "bin"
    tools.mkdir()
    (tools / "headrace").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m scheduler.cli "$@"\n')
    (tools / "headrace").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")} | {
        "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(Path(__file__).parents[3]), "URL": server.url,
        "TOKEN": TOKEN, "no_proxy": "*", **settings,
    }  # fmt: skip
    script = f"\necho; echo '{MARK}'\n".join(BLOCKS)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return [text.strip() for text in done.stdout.split(MARK)]


def output(outputs: list[str], words: str) -> Any:
    """What the one block printed in which these words stand."""
    [found] = [text for block, text in zip(BLOCKS, outputs, strict=True) if words in block]
    return json.loads(found)


def test_a_webhook_signed_by_hand_is_taken_and_seen(told: tuple[Server, list[str]]) -> None:
    _, outputs = told
    assert output(outputs, "webhook-signature: v1,") == {"events": 1, "new": 1}
    [event] = output(outputs, "/v1/events?")["events"]
    assert (event["type"], event["stream"], event["key"]) == ("work_order.updated", "work_orders", "17")
    assert event["state"] == "pending", "there is no worker here"


def test_a_system_of_ones_own_is_described_connected_and_heard(told: tuple[Server, list[str]]) -> None:
    server, outputs = told
    assert output(outputs, '"X-Delivery: 1"') == {"events": 1, "new": 1}
    [event] = server.rows(
        "SELECT e.kind, e.key, e.event_key FROM events e JOIN connections c ON c.id = e.connection_id"
        " WHERE c.name = 'press'"
    )
    assert event == {"kind": "record", "key": "PRT-00017", "event_key": "1"}


def test_what_is_refused_says_nothing_and_the_list_says_why(told: tuple[Server, list[str]]) -> None:
    _, outputs = told
    assert output(outputs, '"X-Delivery: 2"')["code"] == "webhook_refused"
    [refusal] = output(outputs, "/v1/webhook-refusals")["refusals"]
    assert (refusal["reason"], refusal["connection"]) == ("bad_signature", "press")
    assert "Signed is {body}" in refusal["words"]
    assert output(outputs, "events/replay") == {"events": 0, "more": False}


def test_the_numbers_are_shown(told: tuple[Server, list[str]]) -> None:
    _, outputs = told
    [shown] = [text for block, text in zip(BLOCKS, outputs, strict=True) if "headrace webhooks" in block]
    assert {"demo-plant", "press", "parts"} <= set(shown.split())


def test_every_way_to_prove_that_is_listed_is_one(tmp_path: Path) -> None:
    """Each example of the page in a manifest."""
    examples = re.findall(r"`((?:standard|timestamped|hmac|header|field|path): \{.*?\})`", PAGE)
    shakes = re.findall(r"`((?:echo|challenge): \{.*?\}|probe: true)`", PAGE)
    assert (len(examples), len(shakes)) == (6, 3)
    text = MANIFEST.partition("<<'END'\n")[2].partition("\nEND")[0]
    more = (f"  {name}: {{description: Another.}}\n" for name in ("client_state", "url_secret"))
    before, hmac, after = text.replace("secrets:\n", f"secrets:\n{''.join(more)}").partition("    hmac: {")
    rest = after.partition("\n")[2]
    place = tmp_path / "press" / "manifest.yaml"
    place.parent.mkdir()
    for written in [
        *(f"{before}    {example}\n{rest}\n" for example in examples),
        *(f"{before}{hmac}{after}\n  handshake:\n    {shake}\n" for shake in shakes),
    ]:
        place.write_text(written)
        assert load_manifest(place).webhooks is not None, written
