"""What happens when something that a test needs isn't on this machine?

A person without a network, Node or a browser still gets an answer from the tests that can run: the rest is skipped, in one
line that says how to get it. With CI=true nothing may be skipped, since nobody would see it.
"""

import os
from typing import NoReturn

import pytest


def in_ci() -> bool:
    """Whether nothing may be skipped."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def require(reason: str) -> NoReturn:
    """Skip what asked, or fail it in CI. `reason` is one line: what is missing, and how to get it."""
    line = " ".join(reason.split())
    if in_ci():
        pytest.fail(f"{line} (CI skips nothing)", pytrace=False)
    pytest.skip(line)
