"""A source in this process and its mirror, for a module of tests; each test begins with a plant of its own."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from servers.postgres import PostgresServer
from servers.valkey import empty

from scheduler.embedded.valkey import EmbeddedValkey

from .crash import Crashing, patched  # type: ignore[import-not-found]
from .mirror import Mirror, opened_mirror  # type: ignore[import-not-found]
from .source import TOKEN, Source, running_source  # type: ignore[import-not-found]

SYSTEMS = Path(__file__).parent / "systems"

_SLOW = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
    "report_multiple_bugs": False,
}
_FOUND_ENOUGH = (Phase.explicit, Phase.reuse, Phase.generate)
"""A failure is told as it was found: making it smaller takes minutes, and the blob that is printed lets one do so."""
settings.register_profile("truth-ci", max_examples=10, stateful_step_count=30, phases=_FOUND_ENOUGH, **_SLOW)
settings.register_profile("truth", max_examples=400, stateful_step_count=50, **_SLOW)


def truth_settings() -> settings:
    """Few examples with every change; many with `TRUTH=long`, or as many as it says."""
    chosen = os.environ.get("TRUTH", "")
    if chosen.isdigit():
        return settings(settings.get_profile("truth-ci"), max_examples=int(chosen))
    return settings.get_profile("truth" if chosen else "truth-ci")


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    with running_source() as running:
        yield running


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "token"
    path.write_text(TOKEN)
    return path


@pytest.fixture(scope="module")
def mirror(postgres_server: PostgresServer, valkey_server: EmbeddedValkey) -> Iterator[Mirror]:
    empty(valkey_server.url)
    with (
        postgres_server.fresh_database() as url,
        opened_mirror(url, valkey_server.url, SYSTEMS, "truth") as opened,
    ):
        yield opened


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> Crashing:
    if "TRUTH_LOG" not in os.environ:  # tens of thousands of lines, for the one example that matters
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return patched(monkeypatch)
