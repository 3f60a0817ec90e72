"""The command about the systems that there are: what each can do, and what a connection to it needs."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from scheduler.cli.output import AsJson, note, print_facts, print_json, print_table, say
from scheduler.connections.abilities import abilities
from scheduler.connections.systems import known_systems
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Connector
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.settings import Secret, Setting
from worker.errors import InvalidInput


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(systems)


def systems(
    system: Annotated[str | None, typer.Argument(help="The system's name; left out: all.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the systems that can be connected, what each can do and on what it was tried.

    With a name: what a connection to it needs, where a person finds that, and what can be asked of each stream.

    Example: headrace systems tryton
    """
    registry = known_systems()
    if system is not None:
        _show(registry.get(system), as_json=as_json)
        return
    found = [_row(connector) for connector in registry.connectors()]
    if as_json:
        print_json({"systems": found, "problems": [_problem(error) for _, error in registry.problems()]})
        return
    columns = ("system", "title", "streams", "changes", "deletes", "webhooks", "models", "tried")
    print_table(columns, [[row[name] for name in columns] for row in found], empty="There is none.")
    for _, error in registry.problems():
        note(f"{error.place or 'connectors'}: {error.message}")


def _row(connector: Connector) -> dict[str, Any]:
    row: dict[str, Any] = {"system": connector.system, "title": connector.title, "version": None}
    if not isinstance(connector, ManifestConnector):
        return {**row, "streams": len(connector.stream_names), "tried": None}
    manifest = connector.manifest
    streams = list(manifest.streams.values())
    return {
        **row,
        "version": manifest.version,
        "streams": len(streams) or ("each connection's own" if manifest.open else 0),
        "changes": _how_many([stream.traits.incremental for stream in streams], "each connection's own"),
        "deletes": ", ".join(_deletes(manifest)) or "each connection's own",
        "webhooks": manifest.webhooks is not None,
        "models": len({mapping.model for mapping in manifest.models}),
        "tried": manifest.about.standing,
    }


def _how_many(flags: Sequence[bool], without: str) -> str:
    if not flags:
        return without
    return "all" if all(flags) else f"{sum(flags)} of {len(flags)}"


def _deletes(manifest: Manifest, stream: str | None = None) -> list[str]:
    """By which ways one learns of deletes, of one stream or of any."""
    streams = [one for one in manifest.streams.values() if stream in {None, one.name}]
    ways = {
        "flag": any(stream.shape.deleted for stream in streams),
        "list": any(stream.tombstones for stream in streams),
        "feed": any(stream.removed for stream in streams),
        "webhook": stream is None and manifest.webhooks is not None,
        "sweep": any(stream.swept for stream in streams),
    }
    return [way for way, there in ways.items() if there]


def _show(connector: Connector, *, as_json: bool) -> None:
    if not isinstance(connector, ManifestConnector):
        print_json(_row(connector))
        return
    manifest = connector.manifest
    by_key = manifest.protocol == "tryton"
    streams = [abilities(stream, by_key=by_key) for stream in manifest.streams.values()]
    if as_json:
        whole = {**_row(connector), "docs": manifest.docs, "auth": manifest.auth.kind}
        whole["open"] = list(manifest.open)
        needs = {
            "settings": [_setting(one) for one in manifest.settings.values()],
            "secrets": [_setting(one) for one in manifest.secrets.values()],
            "permissions": manifest.about.permissions,
        }
        print_json({**whole, **needs, "streams": streams})
        return
    print_facts(
        {
            "system": manifest.system,
            "title": manifest.title,
            "version": manifest.version,
            "tried": manifest.about.standing,
            "documentation": manifest.docs,
            "log-in": manifest.auth.kind,
            "may": "; ".join(manifest.about.permissions),
            "may describe": ", ".join(manifest.open),
            "models": ", ".join(sorted({mapping.model for mapping in manifest.models})),
        }
    )
    say("")
    asked = [*_needs(manifest.settings, "setting"), *_needs(manifest.secrets, "secret")]
    print_table(("a connection says", "as", "required", "what it is"), asked, empty="It needs no settings.")
    say("")
    columns = ("name", "incremental", "one_record", "listed", "tells_deletes", "filters", "interval")
    told = {name: ", ".join(_deletes(manifest, name)) for name in manifest.streams}
    rows = [
        [told[stream["name"]] if name == "tells_deletes" else _cell(stream[name]) for name in columns]
        for stream in streams
    ]
    titles = ("stream", "changes", "one record", "listed", "deletes", "filters", "every (s)")
    print_table(titles, rows, empty="Each connection describes its own streams: see `headrace discover`.")
    say(f"\nTo connect one: headrace connect {manifest.system}")


def _needs(found: Mapping[str, Any], kind: str) -> list[tuple[str, str, bool, str]]:
    return [(one.name, kind, one.required, _told(one)) for one in found.values()]


def _told(one: Setting | Secret) -> str:
    default = one.default if isinstance(one, Setting) else None
    return one.told if default is None else f"{one.told} Default: {default}"


def _setting(one: Any) -> dict[str, Any]:
    names = ("name", "required", "description", "find", "lasts", "default", "pattern", "choices")
    return {name: getattr(one, name) for name in names if hasattr(one, name)}


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(value) or None
    return int(value) if isinstance(value, float) else value


def _problem(error: InvalidInput) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "place": error.place, "hint": error.hint}
