"""One stack for each file of these tests, and a fresh source for each test. A test that kills something says so itself."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from servers.installation.plant import Plant, connected
from servers.installation.stack import Stack


@pytest.fixture(scope="module")
def opened_stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A file may name systems of its own, as `add_systems(folder)`, and settings, as `SETTINGS`."""
    stack = Stack(tmp_path_factory.mktemp("stack"), getattr(request.module, "SETTINGS", None))
    if add_systems := getattr(request.module, "add_systems", None):
        add_systems(stack.connectors)
    try:
        yield stack.open()
    finally:
        stack.close()


@pytest.fixture
def stack(opened_stack: Stack) -> Stack:
    """One worker of each lane and a beat, all alive, whatever the test before did."""
    for name, part in opened_stack.parts.items():
        opened_stack.thaw(name)
        if part.environment or not name.endswith("-1"):
            opened_stack.kill(name)
    opened_stack.ensure()
    return opened_stack


@pytest.fixture
def plant(stack: Stack, tmp_path: Path) -> Iterator[Plant]:
    """A source with some 500 records, frozen, to be connected by the test."""
    with connected(stack, tmp_path) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows the ends of all logs."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("opened_stack")
    if report.when == "call" and report.failed and stack is not None:
        report.sections.extend(stack.tails())
    return report
