"""The whole API, asked at random by its own document: nothing breaks, and nothing is answered that isn't said there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.installation.api import TOKEN, Server, serving
from servers.postgres import PostgresServer
from servers.rows.customers import new_customers

from scheduler.embedded.valkey import EmbeddedValkey
from worker.db.database import Database

SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ELSEWHERE = r"^/(flower|readyz)|^/v1/tokens/\{token_id\}/"
"""What is no part of the document, what says that no worker is here, and what would end the token that all else needs."""
TESTS = Path(__file__).parents[2]


@pytest.fixture
def server(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, tmp_path: Path
) -> Iterator[Server]:
    """With a row of everything that is listed."""
    with postgres_server.fresh_database() as url:
        database = Database(url, name="test", pool=2)
        new_customers(database)
        database.close()
        with serving(url, valkey_server.url, tmp_path, HEADRACE_API_RATE="0") as running:
            yield running


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 180)
def test_no_request_breaks_the_api_or_is_answered_otherwise_than_its_document_says(
    server: Server, tmp_path: Path
) -> None:
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "servers.fuzz_hooks", "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/v1/openapi.json",
            "--header", f"Authorization: Bearer {TOKEN}", "--checks", CHECKS, "--max-time", str(SECONDS),
            "--phases", "coverage,fuzzing", "--workers", "1", "--no-color", "--no-shrink", "--warnings", "off", "--generation-with-security-parameters", "false",
            "--request-timeout", "90", "--generation-database", "none", "--exclude-path-regex", ELSEWHERE,
            # A generator that throws much away is slow, and no fault of ours: what it makes is tried all the same.
            "--continue-on-failure", "--suppress-health-check", "filter_too_much",
        ],
        check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS + 150,
    )  # fmt: skip
    said = re.sub(r"Bearer \S+", "Bearer …", done.stdout + done.stderr)
    assert done.returncode == 0, said[-12_000:]
    assert server.process.poll() is None
    assert server.ask("GET", "/v1/runs").status_code == 200, "else little was tried after that"
