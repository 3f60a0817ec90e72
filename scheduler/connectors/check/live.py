"""Does a connector fit a real account? A few requests for each stream, all of them reading, and what their answers show.

For each stream: its first page, the second, what changed since a record that came, one record by its key, and the first page
of a sweep. Nothing is changed at the system, and nothing of the answers is kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from scheduler.connectors.check.counting import doubled
from scheduler.connectors.check.outcome import Broken, Outcome, Spared
from worker.connectors.contract import CursorValue, Page, Request, Response, Source, Stream, Window
from worker.connectors.manifest.model import Manifest
from worker.errors import HeadraceError
from worker.parsing.wording import counted
from worker.telemetry.redaction import redactor

Send = Callable[[Request, str], Response]
"""Sends for a stream, as a worker would."""

OF_A_STREAM = 5
LOG_INS = 2
SLACK = timedelta(days=1)
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
SENTENCES: Mapping[str, str] = {
    "live_page": "The first page of each stream comes, its records can be taken, and their keys are their own.",
    "live_next": "The second page goes on where the first one ended.",
    "live_cursor": "Cursors are times that can be: none is in the future, and none from before there were such systems.",
    "live_increment": "What changed since a record is that record and later ones.",
    "live_single": "One record asked for by its key is the one of the list.",
    "live_sweep": "What is there can be listed for its keys.",
    "live_limits": "What the system says of its limits.",
}


def most_requests(streams: Sequence[str]) -> int:
    """No more than these are sent."""
    return OF_A_STREAM * len(streams) + LOG_INS


@dataclass
class Live:
    """One account, and what was heard from it."""

    manifest: Manifest
    source: Source
    send: Send
    now: datetime
    body: bytes = b""
    """Of the last answer."""
    limits: dict[str, str] = field(default_factory=dict)

    def outcomes(self, streams: Sequence[str]) -> Iterator[Outcome]:
        """Stream after stream; what a failure makes impossible is left out."""
        for name in streams:
            stream = self.source.stream(name)
            first, outcome = self._first(stream)
            yield replace(outcome, stream=name)
            if first is not None:
                for check, tries in _TRIES.items():
                    yield replace(_tried(check, partial(tries, self, stream, first)), stream=name)
        said = ", ".join(f"{name}: {value}" for name, value in sorted(self.limits.items()))
        yield Outcome(
            "live_limits", "passed" if said else "not applicable", said or "It says nothing of them."
        )

    def page(self, stream: Stream, window: Window, at: Page | None = None) -> Page:
        """One page of a window; with `at`, the one after that."""
        position = None if at is None else at.next
        response = self._answer(stream.request(window, position), stream.name)
        return stream.read(response, window, position)

    def single(self, stream: Stream, key: str) -> Page | None:
        """One record; None: it can't be asked for so."""
        request = stream.single(key)
        return None if request is None else stream.read_single(self._answer(request, stream.name), key)

    def _answer(self, request: Request, stream: str) -> Response:
        response = self.send(request, stream)
        self.body = response.body
        words = ("ratelimit", "rate-limit", "retry-after", "quota")
        self.limits |= {
            name: value for name, value in response.headers.items() if any(word in name for word in words)
        }
        return response

    def _first(self, stream: Stream) -> tuple[Page | None, Outcome]:
        pages: list[Page] = []

        def tries() -> str:
            page = self.page(stream, Window())
            if page.rejected:
                bad = page.rejected[0]
                raise Broken("records that can be taken", f"{len(page.rejected)} that can't: {bad.reason}")
            spec = self.manifest.streams.get(stream.name)
            if spec is not None and (words := doubled(spec, self.body, page)):
                raise Broken("a key of its own for each record", words)
            pages.append(page)
            return counted(len(page.records), "record")

        outcome = _tried("live_page", tries)
        return (pages[0] if pages else None), outcome


def _next(live: Live, stream: Stream, first: Page) -> str:
    if first.next is None:
        raise Spared("Everything comes in one page.")
    second = live.page(stream, Window(), first)
    known = {record.key for record in first.records}
    again = [record.key for record in second.records if record.key in known]
    if len(again) > 1:
        raise Broken(
            "other records than on the first page", f"{len(again)} of them again, such as {again[0]}"
        )
    return f"{counted(len(second.records), 'record')} more"


def _cursor(live: Live, stream: Stream, first: Page) -> str:
    cursors = _cursors(stream, first)
    for value in cursors:
        if isinstance(value, datetime) and not EARLIEST < value < live.now + SLACK:
            raise Broken("a time between 1980 and now", f"{value}: is the format or the zone another?")
    return f"from {min(cursors)} to {max(cursors)}"


def _increment(live: Live, stream: Stream, first: Page) -> str:
    last = max(_cursors(stream, first))
    page = live.page(stream, Window(since=last))
    came = [record.cursor for record in page.records if record.cursor is not None]
    if not came and not page.rejected:
        raise Broken(f"the record that changed at {last}, since bounds are included", "nothing")
    back = timedelta(seconds=stream.traits.overlap) + SLACK
    older = [
        at for at in came if isinstance(at, datetime) and isinstance(last, datetime) and at < last - back
    ]
    if older:
        raise Broken(
            f"what changed at {last} or later", f"a record of {older[0]}: the parameter isn't heeded"
        )
    return f"{counted(len(came), 'record')} since {last}"


def _single(live: Live, stream: Stream, first: Page) -> str:
    if not first.records:
        raise Spared("There is no record.")
    listed = first.records[0]
    page = live.single(stream, listed.key)
    if page is None:
        raise Spared("Records can't be asked for by their keys.")
    if [record.key for record in page.records] != [listed.key]:
        raise Broken(f"record {listed.key}", f"{[record.key for record in page.records]}")
    same = page.records[0].digest == listed.digest
    return "the same" if same else "with other content than in the list: each look would seem a change"


def _sweep(live: Live, stream: Stream, first: Page) -> str:
    listed = stream.sweep()
    if listed is None:
        raise Spared("The manifest says that what is there can't be listed.")
    page = live.page(listed, Window())
    if first.records and not page.keys:
        raise Broken("the keys of what is there", "none")
    return f"{counted(len(page.keys), 'key')} in a page"


_TRIES: Mapping[str, Callable[[Live, Stream, Page], str]] = {
    "live_next": _next,
    "live_cursor": _cursor,
    "live_increment": _increment,
    "live_single": _single,
    "live_sweep": _sweep,
}


def _cursors(stream: Stream, page: Page) -> list[CursorValue]:
    if not stream.traits.incremental or stream.traits.token:
        raise Spared("It has no cursor of its own.")
    found = [record.cursor for record in page.records if record.cursor is not None]
    if not found and page.records:
        raise Broken("a cursor in the records", "none in any")
    if not found:
        raise Spared("There is no record.")
    return found


def _tried(check: str, tries: Callable[[], str]) -> Outcome:
    try:
        return Outcome(check, "passed", redactor.redact(tries()))
    except Spared as exc:
        return Outcome(check, "not applicable", str(exc))
    except Broken as exc:
        expected, came = exc.expected, exc.came
    except HeadraceError as exc:
        expected, came = "no failure", f"{exc.code}: {exc}"
    return Outcome(check, "failed", expected=redactor.redact(expected), came=redactor.redact(came))
