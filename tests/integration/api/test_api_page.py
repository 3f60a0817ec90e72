"""The examples of the pages about the API, customers, networks and the client, carried out as they stand."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.installation.api import Server, serving
from servers.postgres import PostgresServer
from servers.systems.demo import TOKEN as DEMO_TOKEN
from servers.systems.demo import Demo

from scheduler.access.tokens import make_token
from scheduler.embedded.ports import free_port
from scheduler.embedded.valkey import EmbeddedValkey

TOKEN = make_token("test", bits=4)
DOCS = Path(__file__).parents[3] / "docs"
PAGE, CUSTOMERS, NETWORKS, PYTHON = (
    (DOCS / f"{page}.md").read_text(encoding="utf-8") for page in ("api", "customers", "networks", "client")
)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = SHELL.findall(PAGE)
REFUSED = "stat=failed"
"""In the one example that is wrong on purpose."""


@pytest.fixture(scope="module")
def server(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("page")
    (home / "api-token-test").write_text(TOKEN)  # the API lets in what is kept there
    (home / ".headrace").mkdir()
    (home / ".headrace" / "demo-port").write_text("9\n")
    with postgres_server.fresh_database() as url, serving(url, valkey_server.url, home) as running:
        running.rows(
            "INSERT INTO connections (name, environment, system, settings, secrets) VALUES ('demo-plant', 'test', 'demo',"
            ' \'{"base_url": "http://127.0.0.1:9"}\', \'{"token": "env://DEMO_TOKEN"}\')'
        )
        running.rows(
            "INSERT INTO streams (connection_id, name, bucket, schedule) SELECT id, 'work_orders', 1, '{\"every\": 900}'"
            " FROM connections"
        )
        running.rows(
            "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, cause_kind, cause_id, change_kind)"
            " SELECT bucket, id, '17', '{\"id\": \"17\"}', gen_random_uuid(), now(), 'run', gen_random_uuid(), 'created'"
            " FROM streams"
        )
        yield running


def carried_out(server: Server, example: str) -> list[Any]:
    """What each of its requests was answered. There is no worker, so nobody waits for long."""
    environment = {**os.environ, "HEADRACE_URL": server.url, "HEADRACE_TOKEN": TOKEN, "no_proxy": "*"}
    script = re.sub(
        r"(?m)^curl (.*?)(?=^\S|\Z)",
        r"curl \1; echo\n",
        example.replace("wait=20", "wait=1"),
        flags=re.DOTALL,
    )
    script = script.replace("\n; echo", "; echo")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, timeout=60,
        check=False, cwd=server.home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_does_what_it_says(server: Server, number: int) -> None:
    answers = carried_out(server, EXAMPLES[number])
    assert answers, "each example asks for something"
    for answer in answers:
        assert ("code" in answer) == (REFUSED in EXAMPLES[number]), answer


def test_the_refusal_looks_as_it_is_printed(server: Server) -> None:
    [example] = [each for each in EXAMPLES if REFUSED in each]
    [printed] = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    [answer] = carried_out(server, example)
    told = json.loads(printed)
    assert answer | {"request_id": told["request_id"], "title": told["title"]} == told


def test_the_routes_that_are_named_exist(server: Server) -> None:
    document = server.ask("GET", "/v1/openapi.json").json()
    named = set(re.findall(r"`(?:GET|POST|PATCH|PUT|DELETE) (/v1/[^`?]*)", PAGE)) - {"/v1/openapi.json"}
    assert named
    assert named <= document["paths"].keys()


def test_a_customer_gets_a_connection_a_trial_and_a_link(server: Server) -> None:
    made, trial, link = (
        carried_out(server, example)[0] for example in SHELL.findall(CUSTOMERS) if "curl" in example
    )
    assert (made["name"], made["tenant"], made["environment"]) == ("Acme North", "acme", "test")
    assert (trial["connection"], trial["reached"]) == ("Acme North", False), "nothing listens there"
    assert "/connect/" in link["url"]


def test_what_is_said_of_networks_can_be_tried_on_one_machine(server: Server, tmp_path: Path) -> None:
    """The first connection of the page meets each refusal, and what ends it."""
    demo = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.05", "--requests", "0").start()
    home = tmp_path / ".headrace"
    home.mkdir()
    (home / "demo-port").write_text(demo.base_url.rpartition(":")[2])
    (home / "demo-token").write_text(DEMO_TOKEN)
    script = "".join(["trap 'kill $(jobs -p) || true' EXIT\n", *SHELL.findall(NETWORKS)])
    for port in ("8443", "8444", "3128", "3129"):
        script = script.replace(port, str(free_port()))
    environment = {**os.environ, "HEADRACE_URL": server.url, "HEADRACE_TOKEN": TOKEN, "no_proxy": "*"}
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, timeout=60,
            check=False, cwd=tmp_path,
        )  # fmt: skip
    finally:
        demo.client.close()
        demo.kill()
    assert done.returncode == 0, done.stderr
    fine, refused = "All 7 streams can be read.", "It can't be reached as it is set."
    assert re.findall(r'"summary":"([^"]*)"|"code":"([^"]*)"', done.stdout) == [
        *said(refused, "tls_failed"), (fine, ""),
        *said(refused, "client_certificate_refused"), (fine, ""),
        (fine, ""), *said(refused, "proxy_failed"),
        *said(refused, "address_refused"), *said(refused, "address_refused"), (fine, ""),
    ]  # fmt: skip
    assert '"CONNECT 127.0.0.1:' in done.stdout


def said(summary: str, code: str) -> list[tuple[str, str]]:
    return [(summary, ""), ("", code)]


def test_the_client_does_what_its_page_shows(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    [example] = re.findall(r"^```python\n(.*?)^```", PYTHON, re.MULTILINE | re.DOTALL)
    example = example.replace("https://headrace.example.com", server.url).replace("wait=20", "wait=1")
    exec(example, {"token": TOKEN})
    assert capsys.readouterr().out.startswith("17 ")
