"""When a page is said to have been seen, and that the next is asked for while this one is loaded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from worker.connectors.contract import Page, Response, StreamTraits, Window
from worker.engine.extract import Extractor
from worker.engine.plan import Plan
from worker.http.sender import CallContext, Sender
from worker.telemetry.steps import Steps

START = datetime(2026, 11, 24, tzinfo=UTC)


class Source:
    """Two pages; each answer takes a minute by the clock of the test."""

    traits = StreamTraits(incremental=True, ordered=True, timestamps=True)
    name = "parts"
    steps = Steps()

    def __init__(self) -> None:
        self.clock = START
        self.sent = 0

    def now(self) -> datetime:
        return self.clock

    def request(self, *_: Any) -> Any:
        return None

    def send(self, *_: Any) -> Response:
        self.sent += 1
        self.clock += timedelta(minutes=1)
        return Response(200, {}, b"", "")

    def read(self, *_: Any) -> Page:
        return Page([], next={"page": 2} if self.sent == 1 else None)


@pytest.fixture
def ahead() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_a_page_is_as_old_as_its_request_and_not_as_its_answer(ahead: ThreadPoolExecutor) -> None:
    source = Source()
    extractor = Extractor(
        cast("Sender", source), cast("CallContext", source), source, ahead=ahead, now=source.now
    )
    pages = list(extractor.pages(Plan(Window())))
    assert [page.observed_at for page in pages] == [START, START + timedelta(minutes=1)]
    assert [page.done for page in pages] == [False, True]
