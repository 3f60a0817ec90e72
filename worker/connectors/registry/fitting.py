"""Does what was kept of a stream fit another version of its manifest? Pure: two manifests as they were written go in.

What a record is called by, and what the cursor is made of, is in the rows: under another key the records have other names,
and a cursor of another field, kind or zone says something else. A place among pages belongs to the way of asking.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.connectors.manifest.streams.presets import PRESETS

CURSOR = ("field", "clock", "format", "zone", "kind", "token", "precision")
"""Of `incremental`: what a stored cursor means. The rest says how it is asked with."""
UNASKED = frozenset({
    "title", "key", "version", "updated_at", "deleted", "columns", "custom_fields", "lines", "volatile", "after",
    "interval", "single", "filters", "deletes",
})  # fmt: skip
"""Of a stream: what says nothing of how its pages are asked for."""
_COMMON = ("base_url", "request", "tryton", "protocol")


@dataclass(frozen=True, slots=True)
class Fit:
    """What of a stream's state still means the same."""

    key: bool = True
    cursor: bool = True
    deletes: bool = True
    """The cursor of the system's own list of deletes."""
    place: bool = True
    """Where its reading stopped among pages."""

    @property
    def whole(self) -> bool:
        """Nothing has to be read again."""
        return self.key and self.cursor


def streams_in(data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The streams of a manifest, each over what all have in common."""
    below = PRESETS[data["protocol"]].defaults
    defaults = data.get("defaults", {})
    streams = {}
    for name, own in data.get("streams", {}).items():
        whole = {**below, **defaults, **own}
        if "deletes" in whole:
            whole["deletes"] = {**defaults.get("deletes", {}), **own.get("deletes", {})}
        streams[name] = whole
    return streams


def fit_of(before: Mapping[str, Any], after: Mapping[str, Any], stream: str) -> Fit:
    """For a stream that both manifests have."""
    old, new = streams_in(before)[stream], streams_in(after)[stream]
    protocol = before.get("protocol") == after.get("protocol")
    return Fit(
        key=_paths(old.get("key")) == _paths(new.get("key")) and old.get("explode") == new.get("explode"),
        cursor=cursor_of(old) == cursor_of(new) and protocol,
        deletes=_listed(old) == _listed(new) and protocol,
        place=_asking(before, old) == _asking(after, new),
    )


def misfits(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The streams of both whose state the other manifest can't go on with."""
    both = [name for name in streams_in(before) if name in streams_in(after)]
    return [name for name in both if not fit_of(before, after, name).whole]


def cursor_of(stream: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a stored cursor of the stream is made of; None: it has none."""
    found = stream.get("incremental")
    if found is None:
        return None
    said = {name: found.get(name) for name in CURSOR}
    said["field"] = _paths(said["field"])
    said["kind"] = said["kind"] or "timestamp"
    said["zone"] = said["zone"] or "UTC"
    return said


def _listed(stream: Mapping[str, Any]) -> Any:
    """What the cursor of the list of deletes is made of."""
    found = stream.get("deletes", {}).get("tombstones")
    if not isinstance(found, Mapping):
        return None
    return cursor_of(found), _paths(found.get("key")), found.get("path")


def _asking(manifest: Mapping[str, Any], stream: Mapping[str, Any]) -> Any:
    own = {name: value for name, value in stream.items() if name not in UNASKED}
    return own, {name: manifest.get(name) for name in _COMMON}


def _paths(value: Any) -> Any:
    """A path, or a list of one, is the same."""
    return value if isinstance(value, list) else [value]
