"""What tests of comparisons begin with."""

from importlib import import_module
from random import Random

import pytest
from servers.systems.bench import Bench


@pytest.fixture
def parts(bench: Bench) -> int:
    """A stream of several pages, with its history in."""
    bench.demo.control("POST", "bulk?entity=parts&count=1200&days=10")
    return bench.stream("parts")


@pytest.fixture(autouse=True)
def _same_dice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples go by the run's id; here they are the same in every run of the tests."""
    monkeypatch.setattr(import_module("worker.engine.tracks.verify"), "Random", lambda _: Random(1))
