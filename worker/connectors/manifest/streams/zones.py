"""Whose clock do times without an offset show? That of a zone which the manifest names, or which each connection does.

    incremental: {field: modified, format: datetime, zone: Europe/Berlin, …}
    incremental: {field: modified, format: datetime, zone: "{timezone}", …}     # a setting

What a connection says stands in its place from when the manifest is bound to it, so reading knows nothing of this.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from worker.connectors.manifest.settings import settings_error
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.reading.shape import TimeField

_SETTING = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True)
class ZoneSetting(tzinfo):
    """Stands for the zone that a connection will name. It knows no time itself."""

    setting: str

    def utcoffset(self, at: datetime | None, /) -> timedelta:
        del at
        raise LookupError(f"The time zone is a connection's: {self.setting}.")

    dst = utcoffset

    def tzname(self, at: datetime | None, /) -> str:
        del at
        return f"{{{self.setting}}}"


def zone_named(name: str) -> tzinfo:
    """The zone of this name, or what stands for a setting's. ValueError: there is no such zone."""
    if (setting := _SETTING.fullmatch(name)) is not None:
        return ZoneSetting(setting[1])
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"There is no time zone {name!r}.") from None


def with_zones(
    streams: Mapping[str, StreamManifest], settings: Mapping[str, Any]
) -> Mapping[str, StreamManifest]:
    """The streams by the clocks of a connection; the same ones where none waits for that."""
    found = {name: _by_clock(stream, settings) for name, stream in streams.items()}
    return streams if all(found[name] is stream for name, stream in streams.items()) else found


def _by_clock(stream: StreamManifest, settings: Mapping[str, Any]) -> StreamManifest:
    swept = stream.swept and _by_clock(stream.swept, settings)
    tombstones = stream.tombstones and _by_clock(stream.tombstones, settings)
    shape, incremental = stream.shape, stream.incremental
    cursor, updated_at = _timed(shape.cursor, settings), _timed(shape.updated_at, settings)
    if cursor is not shape.cursor or updated_at is not shape.updated_at:
        shape = replace(shape, cursor=cursor, updated_at=updated_at)
    if incremental is not None and (time := _timed(incremental.time, settings)) is not incremental.time:
        incremental = replace(incremental, time=time or incremental.time)
    parts = (shape, incremental, swept, tombstones)
    before = (stream.shape, stream.incremental, stream.swept, stream.tombstones)
    if all(now is then for now, then in zip(parts, before, strict=True)):
        return stream
    return replace(stream, shape=shape, incremental=incremental, swept=swept, tombstones=tombstones)


def _timed(time: TimeField | None, settings: Mapping[str, Any]) -> TimeField | None:
    if time is None or not isinstance(time.zone, ZoneSetting):
        return time
    name = time.zone.setting
    return replace(time, zone=_zone_of(name, str(settings[name])))


def check_zones(zones: Mapping[str, str]) -> None:
    """Refuse the first setting that names no zone."""
    for name, zone in zones.items():
        _zone_of(name, zone)


def _zone_of(setting: str, name: str) -> tzinfo:
    try:
        zone = zone_named(name)
    except ValueError as exc:
        raise settings_error("bad_value", setting, f"{exc} Write it like Europe/Berlin or UTC.") from None
    if isinstance(zone, ZoneSetting):
        raise settings_error("bad_value", setting, "A time zone is written like Europe/Berlin or UTC.")
    return zone
