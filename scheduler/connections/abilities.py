"""What can a stream be asked for? As its manifest says, and as a connection's settings have it."""

from collections.abc import Mapping
from typing import Any

from worker.connectors.contract import Stream, StreamTraits
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.engine.tracks.records import can_be_asked


def abilities(stream: StreamManifest, *, by_key: bool) -> dict[str, Any]:
    """What a manifest says; `by_key`: its protocol can ask for any record."""
    return {
        "name": stream.name,
        "title": stream.title,
        **_traits(stream.traits),
        "one_record": by_key or stream.single is not None,
        "listed": stream.swept is not None,
        "tells_deletes": stream.tombstones is not None,
        "filters": list(stream.filters),
    }


def bound_abilities(stream: Stream) -> dict[str, Any]:
    """What a stream of a connection can do; settings may have switched something on or off."""
    return {
        "name": stream.name,
        **_traits(stream.traits),
        "one_record": can_be_asked(stream),
        "listed": stream.sweep() is not None,
        "tells_deletes": stream.tombstones() is not None,
        "filters": list(stream.filters),
    }


def _traits(traits: StreamTraits) -> Mapping[str, Any]:
    kind = "token" if traits.token else "time" if traits.timestamps else "number"
    ranged = traits.incremental and traits.timestamps and not traits.token
    return {
        "incremental": traits.incremental,
        "cursor": kind if traits.incremental else None,
        "date_range": ranged,
        "until": ranged and traits.bounded,
        "after": list(traits.after),
        "interval": traits.interval,
    }
