"""Connectors that break one promise each: the manifest of the plain system, changed in a place, or its code in another."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from scheduler.connectors.check.bench import Subject
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Connector, Page, Position, Request, Response, Source, Stream, Window
from worker.errors import Transient

BEHIND: Position = {"behind": "the end"}


class Spoilt:
    """A stream that does one thing otherwise; all else is the real one's, also of what it is made into."""

    def __init__(self, stream: Stream) -> None:
        self.real = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def resized(self, divisor: int, position: Position | None) -> Any:
        found = self.real.resized(divisor, position)
        return None if found is None else (self.like(found[0]), found[1])

    def tombstones(self) -> Any:
        found = self.real.tombstones()
        return None if found is None else self.like(found)

    def like(self, stream: Stream) -> "Spoilt":
        return type(self)(stream)


class Exclusive(Spoilt):
    """Asks for what is later than the last that it saw, and forgets to look back."""

    def request(self, window: Window, position: Position | None) -> Request:
        since = window.since
        if isinstance(since, int):
            since += int(self.real.traits.overlap) + 2
        elif since is not None:
            since += timedelta(seconds=self.real.traits.overlap, milliseconds=1)
        return self.real.request(replace(window, since=since), position)


class LooksBehindTheEnd(Spoilt):
    """Asks once more behind the last page, though its paging plans no such thing."""

    def request(self, window: Window, position: Position | None) -> Request:
        return self.real.request(window, None if position == BEHIND else position)

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        if position == BEHIND:
            return Page([])
        page = self.real.read(response, window, position)
        page.next = BEHIND if page.next is None else page.next
        return page


class SkipsARecord(Spoilt):
    """Its pages leave one out between them."""

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        page = self.real.read(response, window, position)
        if page.next and "offset" in page.next:
            page.next = {**page.next, "offset": page.next["offset"] + 2}
        return page

    @property
    def traits(self) -> Any:
        return replace(self.real.traits, seam="none")


class StopsEarly(Spoilt):
    """Takes the third page for the last."""

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        page = self.real.read(response, window, position)
        if position and position.get("steps", 0) >= 1:
            page.next = None
        return page


class KeepsItsPlace(Spoilt):
    """Keeps where it is in the process, and no place in the cursor."""

    places: dict[int, Position]

    def __init__(self, stream: Stream, places: dict[int, Position] | None = None) -> None:
        super().__init__(stream)
        self.places = {} if places is None else places

    def like(self, stream: Stream) -> "KeepsItsPlace":
        return KeepsItsPlace(stream, self.places)

    def request(self, window: Window, position: Position | None) -> Request:
        return self.real.request(window, self._meant(position))

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        page = self.real.read(response, window, self._meant(position))
        if page.next is not None:
            self.places[len(self.places) + 1] = page.next
            page.next = {"place": len(self.places)}
        return page

    def _meant(self, position: Position | None) -> Position | None:
        return None if position is None else self.places.get(position["place"])


class IgnoresTombstones(Spoilt):
    """Reads the list of deletes and believes nothing of it."""

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        return replace(self.real.read(response, window, position), gone=[])


class TrustsNoBound(Spoilt):
    """Never says up to when."""

    def request(self, window: Window, position: Position | None) -> Request:
        return self.real.request(replace(window, until=None), position)


class GivesUpOnABadRecord(Spoilt):
    """One record that can't be taken ends the page."""

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        page = self.real.read(response, window, position)
        if page.rejected:
            raise Transient("malformed_page", page.rejected[0].reason)
        return page


class KeepsEveryPage(Spoilt):
    """In case it is asked again."""

    kept: dict[int, Page]

    def __init__(self, stream: Stream, kept: dict[int, Page] | None = None) -> None:
        super().__init__(stream)
        self.kept = {} if kept is None else kept

    def like(self, stream: Stream) -> "KeepsEveryPage":
        return KeepsEveryPage(stream, self.kept)

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        page = self.kept[len(self.kept)] = self.real.read(response, window, position)
        return page


class TellsTheCursor(Spoilt):
    """Keeps its token beside its place, to have it at hand."""

    def read(self, response: Response, window: Window, position: Position | None) -> Page:
        page = self.real.read(response, window, position)
        if page.next is not None:
            page.next = {**page.next, "token": "double/token+of plain"}
        return page


class ForgetsWhatItAsked(Spoilt):
    """One record comes in its envelope."""

    def read_single(self, response: Response, key: str) -> Page:
        page = self.real.read_single(response, key)
        for record in page.records:
            record.digest = bytes(16)
        return page


class SpoiltSource:
    """A source whose streams are spoilt."""

    def __init__(self, source: Source, spoils: Callable[[Stream], Any]) -> None:
        self.real = source
        self.spoils = spoils

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def stream(self, name: str) -> Any:
        return self.spoils(self.real.stream(name))


class AsksTwice(SpoiltSource):
    """Fetches each page once to see whether it is there."""

    @property
    def auth(self) -> Any:
        return self

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Any, Response, None]:
        inner = self.real.auth.flow(request, secrets, held)
        outgoing = next(inner)
        yield outgoing
        yield outgoing


class SpoiltConnector:
    """Its sources are spoilt."""

    def __init__(self, connector: ManifestConnector, source: Callable[[Source], Any]) -> None:
        self.real = connector
        self.source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def bind(self, settings: Mapping[str, Any]) -> Any:
        return self.source(self.real.bind(settings))


@dataclass(frozen=True)
class SpoiltSubject(Subject):
    """A subject whose connector is spoilt."""

    source: Callable[[Source], Any] = field(default=lambda source: source)

    def connector(self) -> Connector:
        return SpoiltConnector(ManifestConnector(self.manifest), self.source)


def spoilt_streams(subject: Subject, spoils: Callable[[Stream], Any]) -> SpoiltSubject:
    """The subject with streams that `spoils` makes of the real ones."""
    return SpoiltSubject(subject.manifest, subject.double, lambda source: SpoiltSource(source, spoils))


def asks_twice(subject: Subject) -> SpoiltSubject:
    return SpoiltSubject(
        subject.manifest, subject.double, lambda source: AsksTwice(source, lambda stream: stream)
    )


def changed(data: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The manifest with another value at a dotted path; None takes it out."""
    name, _, rest = path.partition(".")
    if rest:
        return {**data, name: changed(data.get(name, {}), rest, value)}
    return {key: each for key, each in data.items() if key != name} | ({} if value is None else {name: value})
