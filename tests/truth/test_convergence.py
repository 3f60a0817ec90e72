"""Whatever happens to a source and to the workers that copy it, the copy comes to equal the truth."""

from pathlib import Path

import pytest
from hypothesis.stateful import run_state_machine_as_test

from .conftest import truth_settings  # type: ignore[import-not-found]
from .crash import Crashing  # type: ignore[import-not-found]
from .machine import machine_for  # type: ignore[import-not-found]
from .mirror import Mirror  # type: ignore[import-not-found]
from .source import Source  # type: ignore[import-not-found]

pytestmark = [
    pytest.mark.integration,
    # Whoever is killed closes no connection: the collector finds those of the dead.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_the_copy_comes_to_equal_the_truth(
    source: Source,
    mirror: Mirror,
    crashing: Crashing,
    token_file: Path,
) -> None:
    run_state_machine_as_test(machine_for(source, mirror, crashing, token_file), settings=truth_settings())
