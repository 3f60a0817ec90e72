"""What does this connections file ask for, and what is wrong with it?

The schema says what a file may hold, the checks what only this installation knows: systems, streams, settings, secrets.
All problems of a file are told together.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from importlib import resources
from types import MappingProxyType
from typing import Any

from scheduler.connections.file.checks import (
    check_network,
    check_secrecy,
    check_secrets,
    check_settings,
    check_text,
)
from scheduler.connections.file.desired import Desired, DesiredConnection, DesiredStream, Problems
from scheduler.connections.file.part import Part, parts_of
from scheduler.connections.options.schedule import (
    DEFAULT_HISTORY_DAYS,
    Schedule,
    parse_history,
    parse_schedule,
)
from scheduler.connections.options.table import OPTIONS
from worker.connectors.contract import Connector, Source, Stream
from worker.connectors.describing import DESCRIBE
from worker.connectors.registry import Registry
from worker.errors import InvalidInput
from worker.parsing.documents import Document, find_problems, suggest

_UNSET = object()

Pins = Mapping[tuple[str, str], str | None]
"""By environment and the file's id: the version of its system's manifest that a connection is pinned to."""


def read_desired(document: Document, registry: Registry, pins: Pins = MappingProxyType({})) -> Desired:
    """The file with its defaults filled in, each connection by the version that it is pinned to. Raises `Problems`."""
    if broken := find_problems(document, _schema_of_the_frame()):
        raise Problems(document.name, [problem.error(document) for problem in broken])
    connections, problems = [], []
    for part in parts_of(document, "connections"):
        pin = pins.get((str(part.data.get("environment", "live")), str(part.data.get("id"))))
        connection = _read_connection(part, registry, _schema_of_a_connection(), pin)
        problems.extend(part.problems)
        if connection is not None:
            connections.append(connection)
    problems.extend(_twins(document))
    if problems:
        problems.sort(key=lambda problem: _line(problem, document.name))
        raise Problems(document.name, problems)
    return Desired(document.name, connections)


def read_entry(document: Document, registry: Registry, pin: str | None = None) -> DesiredConnection:
    """A document that is one connection, without an id that a file would know it by. Raises `Problems`.

    `pin` is the version of its system's manifest that it is read by; a new one gets the current version.
    """
    part = Part(document, (), document.lines)
    found = _read_connection(part, registry, schema_of_an_entry(), pin)
    if found is None or part.problems:
        raise Problems(document.name, part.problems)
    return found


def load_schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors too."""
    return json.loads(_schema_text())  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _schema_text() -> str:
    return (
        resources.files("scheduler.connections.file").joinpath("connections.schema.json").read_text("utf-8")
    )


def _schema_of_the_frame() -> dict[str, Any]:
    """The file around the connections; these are validated one by one, so that each can have its say."""
    schema = load_schema()
    schema["properties"]["connections"]["items"] = {
        "type": "object",
        "description": schema["$defs"]["connection"]["description"],
    }
    return schema


@lru_cache(maxsize=1)
def _schema_of_a_connection() -> dict[str, Any]:
    schema = load_schema()
    return {"$defs": schema["$defs"], "$ref": "#/$defs/connection"}


@lru_cache(maxsize=1)
def schema_of_an_entry() -> dict[str, Any]:
    """A connection as the API takes it: the same, known by its name instead of an id."""
    schema = load_schema()
    connection = schema["$defs"]["connection"]
    connection["required"] = ["name", "system"]
    del connection["properties"]["id"]
    return {"$defs": schema["$defs"], **connection}


def _read_connection(
    part: Part, registry: Registry, schema: Mapping[str, Any], pin: str | None
) -> DesiredConnection | None:
    """None where something is wrong with it; `part` collects what. Whatever is sound is looked at all the same."""
    part.check_schema(schema)
    check_text(part)
    check_secrecy(part)
    check_network(part)
    times = _read_times(part)
    options = _read_options(part)
    system = part.get("system")
    if not isinstance(system, str) or not part.sound("system"):
        return None
    connector = part.attempt(lambda: registry.get(system, pin), "system", otherwise=None)
    if connector is None:
        return None
    source = check_settings(part, connector)
    check_secrets(part, connector, source)
    streams = list(_read_streams(part, connector, source, times, options))
    return None if part.problems else _connection(part, streams)


def _connection(part: Part, streams: Sequence[DesiredStream]) -> DesiredConnection:
    data = part.data
    return DesiredConnection(
        file_id=data.get("id"),
        environment=data.get("environment", "live"),
        name=data["name"] if "name" in data else data["id"],
        system=data["system"],
        tenant=data.get("tenant"),
        labels=data.get("labels", {}),
        settings=data.get("settings", {}),
        secrets=data.get("secrets", {}),
        network=data.get("network", {}),
        budget=data.get("budget"),
        streams=streams,
        place=part.place(),
        history_by_default="history" not in data
        and any(part.get("streams", stream.name, "history") is None for stream in streams),
    )


_Times = Mapping[str | None, tuple[Schedule | None, Any]]
"""Schedule and history, by stream, and under None for the whole connection."""


def _read_times(part: Part) -> _Times:
    paths: dict[str | None, tuple[str, ...]] = {None: ()}
    paths |= {name: ("streams", name) for name in part.mapping("streams")}
    return {name: (_schedule(part, *path), _history(part, *path)) for name, path in paths.items()}


_Options = Mapping[str | None, Mapping[str, Any]]
"""The options given, by stream, and under None for the whole connection."""


def _read_options(part: Part) -> _Options:
    paths: dict[str | None, tuple[str, ...]] = {None: ()}
    paths |= {name: ("streams", name) for name in part.mapping("streams")}
    return {name: dict(_options(part, *path)) for name, path in paths.items()}


def _options(part: Part, *path: str) -> Iterator[tuple[str, Any]]:
    for option in OPTIONS:
        given = part.get(*path, option.name)
        if given is not None and part.sound(*path, option.name):
            parsed = part.attempt(partial(option.parse, given), *path, option.name, otherwise=_UNSET)
            if parsed is not _UNSET:
                yield option.name, parsed


def _check_options(part: Part, stream: Stream, options: Mapping[str, Any]) -> None:
    """Whether the stream can have them; what is wrong is told where it was said."""
    for option in OPTIONS:
        if option.name in options:
            own = part.get("streams", stream.name, option.name) is not None
            where = ("streams", stream.name, option.name) if own else (option.name,)
            part.attempt(partial(option.check, options[option.name], stream), *where, otherwise=None)


def _read_streams(
    part: Part, connector: Connector, source: Source | None, times: _Times, options: _Options
) -> Iterator[DesiredStream]:
    """Every stream that it has: as it is named, else as the connection says, else as the manifest says."""
    names = connector.stream_names if source is None else source.stream_names
    may_have_more = source is None and DESCRIBE in part.mapping("settings")
    for name in part.mapping("streams"):
        if name not in names and not may_have_more:
            message = f"{part.data['system']} has no stream {name!r}."
            part.add("unknown_stream", message, "streams", name, hint=suggest(name, names))
    schedule, history = times[None]
    streams = {} if part.problems or source is None else {name: source.stream(name) for name in names}
    for name in names:
        own_schedule, own_history = times.get(name, (None, _UNSET))
        chosen = {**options[None], **options.get(name, {})}
        every = 0
        if (stream := streams.get(name)) is not None:
            _check_options(part, stream, chosen)
            every = int(stream.traits.interval)
        yield DesiredStream(
            name,
            own_schedule or schedule or {"every": every},
            next((days for days in (own_history, history) if days is not _UNSET), DEFAULT_HISTORY_DAYS),
            part.get("streams", name, "enabled") is not False,
            chosen,
        )


def _schedule(part: Part, *path: str) -> Schedule | None:
    given = part.get(*path, "schedule")
    if given is None or not part.sound(*path, "schedule"):
        return None
    return part.attempt(lambda: parse_schedule(given), *path, "schedule", otherwise=None)


def _history(part: Part, *path: str) -> Any:
    given = part.get(*path, "history")
    if given is None or not part.sound(*path, "history"):
        return _UNSET
    return part.attempt(lambda: parse_history(given), *path, "history", otherwise=_UNSET)


def _twins(document: Document) -> Iterator[InvalidInput]:
    """Ids and names that stand twice in one environment; the later one is at fault, and a whole copy for its id."""
    seen: dict[tuple[object, str, str], int] = {}
    for index, data in enumerate(document.data["connections"]):
        blamed = None
        for key in ("id", "name"):
            value = data.get(key, data.get("id"))
            if not isinstance(value, str):
                continue
            first = seen.setdefault((str(data.get("environment", "live")), key, value), index)
            if first not in {index, blamed}:
                blamed = first
                line = document.line(("connections", first, key))
                yield document.error(
                    ("connections", index, key),
                    f"double_{key}",
                    f"Two connections have the {key} {value!r} (the other is on line {line}).",
                    hint=f"Each {key} is unique in its environment.",
                )


def _line(problem: InvalidInput, name: str) -> int:
    line = (problem.place or "").removeprefix(f"{name}:")
    return int(line) if line.isdecimal() else 0
