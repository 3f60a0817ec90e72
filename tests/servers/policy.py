"""What happens when something that a test needs isn't on this machine?

A person without a network, Node or a browser still gets an answer from the tests that can run: the rest is skipped, and
the end of the run says in one line for each thing how to get it. With CI=true nothing may be skipped, since nobody would
see it.
"""

import os
from collections import Counter
from typing import NoReturn

import pytest

_CAUSE = 1500


def in_ci() -> bool:
    """Whether nothing may be skipped."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def require(reason: str, *, cause: object = "") -> NoReturn:
    """Skip what asked, or fail it in CI. `reason` is one line: what is missing, and how to get it."""
    if in_ci():
        pytest.fail(f"{reason} In CI nothing is skipped. {str(cause)[-_CAUSE:]}", pytrace=False)
    pytest.skip(" ".join(reason.split()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each reason, however many tests it kept from running."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    for reason, tests in reasons.most_common():
        terminalreporter.write_line(f"Skipped {tests} {'test' if tests == 1 else 'tests'}: {reason}")
