"""What does a tap say by a line? Singer's messages: RECORD, STATE, SCHEMA, ACTIVATE_VERSION, BATCH; anything else is noise.

A record's and a state's bytes are taken as they came. Python's `json` writes NaN, which is no JSON: a line that can't be
read strictly is cut with care, so that only its record is set aside where it can't be kept, and no line is lost unseen.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from worker.connectors.reading.split import slices


@dataclass(frozen=True, slots=True)
class Row:
    """A record of a stream, with the version of the table that it belongs to where the tap counts such."""

    stream: str
    raw: bytes
    version: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that came before this is told by it: the tap can go on from here."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Schema:
    """Which fields tell a stream's records apart, as the tap has it."""

    stream: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Activated:
    """Records of any other version are gone."""

    stream: str
    version: int


@dataclass(frozen=True, slots=True)
class Files:
    """A BATCH: the records lie in files, which we don't read."""

    stream: str


@dataclass(frozen=True, slots=True)
class Noise:
    """A line that is none of Singer's."""

    text: bytes


Message = Row | State | Schema | Activated | Files | Noise


class _Wire(msgspec.Struct):
    type: str
    stream: str | None = None
    record: msgspec.Raw | None = None
    version: int | None = None
    value: msgspec.Raw | None = None
    key_properties: list[str] | None = None


_decode = msgspec.json.Decoder(_Wire).decode
_NAMES = ("type", "stream", "record", "version", "value", "key_properties")
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


def message_of(line: bytes) -> Message:
    """What the line says."""
    try:
        return _message(_decode(line), line)
    except UNREADABLE:
        return _with_care(line)


def _message(wire: _Wire, line: bytes) -> Message:
    stream = wire.stream
    match wire.type:
        case "RECORD" if stream is not None and wire.record is not None:
            return Row(stream, bytes(wire.record), wire.version)
        case "STATE" if wire.value is not None:
            return State(bytes(wire.value))
        case "SCHEMA" if stream is not None:
            return Schema(stream, tuple(wire.key_properties or ()))
        case "ACTIVATE_VERSION" if stream is not None and wire.version is not None:
            return Activated(stream, wire.version)
        case "BATCH" if stream is not None:
            return Files(stream)
    return Noise(line)


def _with_care(line: bytes) -> Message:
    """A line that is nearly JSON. What names the message must be sound; the record itself is the reader's to judge."""
    if not line.lstrip().startswith(b"{"):
        return Noise(line)
    try:
        found = slices(line, {(name,) for name in _NAMES})
        sound: dict[str, Any] = {
            name: msgspec.json.decode(found[name,])
            for name in ("type", "stream", "version", "key_properties")
            if (name,) in found
        }
        parts = {name: msgspec.Raw(found[name,]) for name in ("record", "value") if (name,) in found}
        wire = msgspec.convert(sound, _Wire)
    except UNREADABLE:
        return Noise(line)
    for name, raw in parts.items():
        setattr(wire, name, raw)
    return _message(wire, line)
