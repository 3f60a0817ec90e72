"""The copy of a real ERP and of a real OData service comes to equal what they say of themselves."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from servers.postgres import PostgresServer
from servers.systems.cap import CapService
from servers.systems.tryton.server import TrytonServer
from servers.valkey import empty

from scheduler.embedded.valkey import EmbeddedValkey

from .conftest import SYSTEMS, truth_settings  # type: ignore[import-not-found]
from .crash import Crashing  # type: ignore[import-not-found]
from .mirror import Mirror, opened_mirror  # type: ignore[import-not-found]
from .real import Assets, Categories, Table, real_machine_for  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration

SHARE = 3
"""These servers take longer to answer: so many times fewer examples."""


class Trial:
    """Runs the machine on a table of a server."""

    def __init__(
        self,
        stack: ExitStack,
        postgres: PostgresServer,
        valkey: EmbeddedValkey,
        crashing: Crashing,
        folder: Path,
    ) -> None:
        self._stack, self._postgres, self._valkey = stack, postgres, valkey
        self._crashing, self._secret = crashing, folder / "password"

    def __call__(self, table: Table, system: str, password: str, **connection: str) -> None:
        empty(self._valkey.url)
        self._secret.write_text(password)
        url = self._stack.enter_context(self._postgres.fresh_database())
        mirror: Mirror = self._stack.enter_context(opened_mirror(url, self._valkey.url, SYSTEMS, system))
        machine = real_machine_for(
            table,
            mirror,
            self._crashing,
            lambda: mirror.connect({"password": self._secret.as_uri()}, **connection),
        )
        chosen = truth_settings()
        run_state_machine_as_test(
            machine, settings=settings(chosen, max_examples=max(2, chosen.max_examples // SHARE))
        )


@pytest.fixture
def trial(
    postgres_server: PostgresServer, valkey_server: EmbeddedValkey, crashing: Crashing, tmp_path: Path
) -> Iterator[Trial]:
    with ExitStack() as stack:
        yield Trial(stack, postgres_server, valkey_server, crashing, tmp_path)


def test_the_copy_of_tryton_comes_to_equal_it(trial: Trial, tryton: TrytonServer) -> None:
    trial(
        Categories(tryton),
        "tryton_truth",
        tryton.password,
        base_url=tryton.base_url,
        database=tryton.database,
        username=tryton.username,
    )


def test_the_copy_of_an_odata_service_comes_to_equal_it(trial: Trial, cap: CapService) -> None:
    trial(Assets(cap), "cap_truth", cap.password, base_url=cap.base_url, username=cap.username)
