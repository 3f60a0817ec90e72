"""What have streams that a manifest describes in common, however their systems are asked?"""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Self, TypeVar

from worker.connectors.contract import Page, StreamTraits
from worker.connectors.manifest.streams.single import check_filters
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.reading.digests import digest_of
from worker.connectors.reading.reader import Reader, shared_reader
from worker.connectors.reading.shape import FieldPath
from worker.errors import NotFound
from worker.parsing.documents import suggest

S = TypeVar("S")


class ManifestStream:
    """What a stream says of itself, and how its records are read from their bytes."""

    def __init__(self, spec: StreamManifest) -> None:
        self._spec = spec

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def traits(self) -> StreamTraits:
        return self._spec.traits

    @property
    def key_fields(self) -> Sequence[FieldPath]:
        return self._spec.shape.key

    @property
    def mark(self) -> str:
        return self._spec.shape.mark

    @property
    def filters(self) -> Sequence[str]:
        return self._spec.filters

    def filtered(self, values: Mapping[str, str]) -> Self:
        """The same stream for records that fit; `InvalidInput` for a name that isn't among `filters`."""
        check_filters(self.name, self.filters, values)
        stream = copy(self)
        stream._narrow(values)  # noqa: SLF001 - a copy of its own kind
        return stream

    def _narrow(self, values: Mapping[str, str]) -> None:
        """Ask for records that fit these alone, from here on."""
        del values

    def digest(self, raw: bytes) -> bytes:
        return digest_of(raw, self._spec.shape)

    def parse(self, raws: Sequence[bytes]) -> Page:
        reading = self._reader.take(raws)
        return Page(reading.records, reading.rejected)

    @property
    def reader(self) -> Reader:
        """What takes its records out of answers."""
        return self._reader

    @property
    def _pointer(self) -> FieldPath | None:
        """Where the body says what comes next."""
        return None

    @property
    def _more(self) -> FieldPath | None:
        """Where the body says whether there is more."""
        return None

    @cached_property
    def _reader(self) -> Reader:
        return shared_reader(self._spec.shape, self._pointer, self._more)


def stream_named(name: str, streams: Mapping[str, S], *, system: str) -> S:
    """The stream of that name, or `NotFound` with the nearest valid name."""
    if name not in streams:
        message = f"The system {system} has no stream {name!r}."
        raise NotFound("unknown_stream", message, hint=suggest(name, streams))
    return streams[name]
