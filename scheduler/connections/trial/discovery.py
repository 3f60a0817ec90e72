"""What could be synced through a connection? Its system is asked now, as a worker would ask it, and nothing is stored."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.connections.trial.flow import SECONDS, found_by
from scheduler.connections.trial.trial import Candidate, context_of
from worker.connectors.contract import Discovery, Found, Source
from worker.connectors.registry import Registry
from worker.errors import InvalidInput
from worker.http.sender import Sender
from worker.parsing.wording import suggest


@dataclass(frozen=True, slots=True)
class Offered:
    """Something that was found, and whether the connection has a stream of that name."""

    found: Found
    connected: bool

    def as_json(self) -> dict[str, Any]:
        """For the API and `--json`."""
        found = self.found
        return {
            "name": found.name,
            "title": found.title,
            "connected": self.connected,
            "key": list(found.key),
            "cursor": found.cursor,
            "fields": list(found.fields),
            "remarks": list(found.remarks),
            "describe": dict(found.describe),
        }


def discoverer(registry: Registry, candidate: Candidate) -> "Discoverer":
    """What asks a candidate's system. `InvalidInput` where that has no way to say what there is; nothing was sent then."""
    connector = registry.get(candidate.system, candidate.manifest_version)
    source = connector.bind(candidate.settings)
    flow = source.discover()
    if flow is None:
        raise InvalidInput(
            "no_discovery",
            f"{connector.title} can't be asked what there is: the system's documentation says it.",
            hint="Streams of its own stand in the connection's setting `describe`, where the system takes them.",
        )
    return Discoverer(source, candidate, flow)


@dataclass(frozen=True, slots=True)
class Discoverer:
    """A system that can be asked once what it has."""

    source: Source
    candidate: Candidate
    flow: Discovery

    def ask(
        self, sender: Sender, request_id: str, *, clock: Callable[[], float] = time.monotonic
    ) -> list[Offered]:
        """All that the system says it has, by name; what went wrong is raised."""
        until = clock() + SECONDS
        context = context_of(self.source, self.candidate, request_id)
        found = found_by(self.flow, sender, context, lambda: clock() >= until)
        return _offered(found, self.source)


def _offered(found: Sequence[Found], source: Source) -> list[Offered]:
    names = set(source.stream_names)
    return sorted((Offered(each, each.name in names) for each in found), key=lambda each: each.found.name)


def chosen(offered: Sequence[Offered], names: Sequence[str]) -> list[Offered]:
    """Those of these names; without names, those that aren't connected yet. `InvalidInput` for a name that isn't there."""
    by_name = {each.found.name: each for each in offered}
    for name in names:
        if name not in by_name:
            hint = suggest(name, by_name) or None
            raise InvalidInput("unknown_stream", f"The system offers nothing called {name!r}.", hint=hint)
    return [by_name[name] for name in names] if names else [each for each in offered if not each.connected]
