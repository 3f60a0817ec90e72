"""Does the copy in Postgres come to equal what a double has, with all of a worker in between but Celery?

The checks read into memory. This is once more the same for one stream of each system, through ledger, budget, load and sweep.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from connectors.doubles.found import CATALOG, PLAYED, double_of
from servers.postgres import PostgresServer
from servers.valkey import empty
from truth.mirror import Mirror, opened_mirror

from scheduler.connectors.check import Double
from scheduler.connectors.check.checking import manifest_of
from scheduler.connectors.check.driving.account import kept_secrets
from scheduler.embedded.valkey import EmbeddedValkey

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.fresh_database() as url:
        yield url


@pytest.mark.parametrize("system", [name for name in PLAYED if not manifest_of(CATALOG / name).open])
def test_the_copy_comes_to_equal_the_double(
    system: str, database: str, valkey_server: EmbeddedValkey, tmp_path: Path
) -> None:
    kind = double_of(system)
    assert kind is not None
    empty(valkey_server.url)
    with ExitStack() as stack:
        double = stack.enter_context(kind())
        secrets = stack.enter_context(kept_secrets(double.secrets))
        mirror = stack.enter_context(opened_mirror(database, valkey_server.url, tmp_path, system))
        stream = next(iter(double.tables))
        double.now = datetime.now(UTC) - timedelta(days=5)
        double.create(stream, 5)
        double.now = datetime.now(UTC) - timedelta(hours=1)
        keys = double.create(stream, 4)
        mirror.connect(secrets, **double.settings())
        _read(mirror, double, stream)

        double.now = datetime.now(UTC)
        double.change(stream, keys[0])
        double.delete(stream, keys[1])
        double.create(stream)
        for track in ("live", "sweep", "sweep"):
            mirror.do(stream, track=track)
            mirror.finish()
        assert mirror.copy(stream) == double.truth(stream)


def _read(mirror: Mirror, double: Double, stream: str) -> None:
    """What is new, and the history beside it."""
    mirror.do(stream)
    mirror.do(stream, track="history")
    mirror.finish()
    assert mirror.copy(stream) == double.truth(stream)
    assert [run["state"] for run in mirror.ended(stream)][-1] == "succeeded"
