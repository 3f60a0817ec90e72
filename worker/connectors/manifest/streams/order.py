"""Which streams come before which? A manifest's `after`: parents before children, so that a reference finds what it names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from worker.connectors.manifest.streams.stream import StreamManifest
from worker.parsing.documents import Document, suggest


def with_parents(document: Document, streams: Mapping[str, StreamManifest]) -> dict[str, StreamManifest]:
    """The streams with the names of their parents; an error for a name that is none, and for a circle."""
    parents = {name: tuple(document.data["streams"][name].get("after", ())) for name in streams}
    for name, above in parents.items():
        for place, parent in enumerate(above):
            if parent not in streams:
                message = f"streams.{name} comes after {parent!r}, and there is no such stream."
                where = ("streams", name, "after", place)
                raise document.error(where, "bad_value", message, hint=suggest(parent, streams) or None)
    for name in streams:
        if circle := _circle(name, parents):
            message = f"Each of these streams would come after the other: {' > '.join(circle)}."
            raise document.error(("streams", name, "after"), "bad_value", message)
    return {
        name: replace(stream, traits=replace(stream.traits, after=parents[name])) if parents[name] else stream
        for name, stream in streams.items()
    }


def _circle(name: str, parents: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The way from a stream back to itself, if there is one."""
    ways, seen = [[name]], set[str]()
    while ways:
        way = ways.pop()
        for parent in parents[way[-1]]:
            if parent == name:
                return [*way, name]
            if parent not in seen:
                seen.add(parent)
                ways.append([*way, parent])
    return None
