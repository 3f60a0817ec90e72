"""What does a worker process see to before it serves anybody?"""

import resource
from collections.abc import Iterator

import pytest

from worker.process import allow_handles


@pytest.fixture
def few_handles() -> Iterator[int]:
    """As a shell starts a process: fewer than it may have. How many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 1024 or hard == resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_it_may_open_more_than_a_shell_allows_and_no_more_than_it_may(few_handles: int) -> None:
    allow_handles(1024)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1024, few_handles)


def test_what_is_allowed_already_is_not_taken_away(few_handles: int) -> None:
    allow_handles(100)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1000, few_handles)
