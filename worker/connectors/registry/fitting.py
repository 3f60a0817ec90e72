"""Does what was kept of a stream fit another version of its manifest? Pure: two versions of a stream go in.

What a record is called by, and what the cursor is made of, is in the rows: under another key the records have other names,
and a cursor of another field, format or zone says something else. A place among pages belongs to the way of asking.
"""

from dataclasses import dataclass, replace
from typing import Any

from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.streams.stream import StreamManifest


@dataclass(frozen=True, slots=True)
class Fit:
    """What of a stream's state still means the same."""

    key: bool = True
    cursor: bool = True
    version: bool = True
    """Which of two contents of a record is the newer."""
    deletes: bool = True
    """The cursor of the system's own list of deletes."""
    place: bool = True
    """Where its reading stopped among pages."""

    @property
    def whole(self) -> bool:
        """Nothing has to be read again, and nothing is compared that can't be."""
        return self.key and self.cursor and self.version


NOTHING = Fit(key=False, cursor=False, version=False, deletes=False, place=False)
"""Of a version that nobody can read any more."""


def fit_of(before: StreamManifest, after: StreamManifest, *, same_place: bool = True) -> Fit:
    """For a stream that both versions have. `same_place`: the system is asked at the same address in both."""
    key = key_of(before) == key_of(after)
    return Fit(
        key=key,
        cursor=cursor_of(before) == cursor_of(after),
        version=before.shape.version == after.shape.version,
        deletes=listed_of(before) == listed_of(after),
        place=same_place and asking_of(before) == asking_of(after),
    )


def fits(before: Manifest, after: Manifest) -> dict[str, Fit]:
    """For every stream that both have."""
    same = (before.protocol, before.base_url) == (after.protocol, after.base_url)
    return {
        name: fit_of(stream, after.streams[name], same_place=same)
        for name, stream in before.streams.items()
        if name in after.streams
    }


def misfits(before: Manifest, after: Manifest) -> list[str]:
    """The streams of both whose state the other version can't go on with."""
    return [name for name, fit in fits(before, after).items() if not fit.whole]


def key_of(stream: StreamManifest) -> Any:
    """What a record's name is made of. Of another model, the same number is another thing."""
    explode = stream.shape.explode
    return stream.shape.key, stream.shape.rows, stream.model, explode


def cursor_of(stream: StreamManifest) -> Any:
    """What a stored cursor is made of; how it is asked with says nothing of that, unless it stands for one answer."""
    traits, told, incremental = stream.traits, stream.asked.told, stream.incremental
    made = traits.incremental, traits.timestamps, traits.token, stream.shape.cursor, stream.shape.token
    if incremental is None or incremental.token is None:
        return made
    return *made, told and told.token, stream.asked if incremental.token.of_one_answer else None


def listed_of(stream: StreamManifest) -> Any:
    """What the cursor of the list of deletes is made of."""
    listed = stream.tombstones
    return None if listed is None else (cursor_of(listed), listed.asked)


def asking_of(stream: StreamManifest) -> Any:
    """All that says what the next page is."""
    shape = replace(
        stream.shape, key=(), version=None, updated_at=None, deleted=None, volatile=(), cursor=None, empty=()
    )
    asked = stream.asked, stream.paging, stream.incremental, stream.relation
    return *asked, shape, stream.model, stream.fields, stream.domain, stream.rows
