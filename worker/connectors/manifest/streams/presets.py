"""What does a protocol know of every stream, so that no manifest has to say it? One preset for each protocol.

`rest` knows nothing. Others say what is true of every system that speaks them, and read a stream's own words: the query of
GraphQL becomes part of a body.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.connectors.manifest.singer import tap_words
from worker.connectors.manifest.streams import odoo
from worker.connectors.manifest.streams.odata import odata

TRYTON_TIMES = ("write_date", "create_date")


def as_it_is(data: Mapping[str, Any], part: str = "") -> dict[str, Any]:
    """A stream in the words of requests already."""
    del part
    return dict(data)


@dataclass(frozen=True, slots=True)
class Preset:
    """What holds of the streams of one protocol."""

    needs: tuple[str, ...] = ("path", "records", "key")
    """What every stream must say."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What lies under a manifest's own defaults."""
    spelled: Callable[[Mapping[str, Any], str], dict[str, Any]] = as_it_is
    """The stream in the words of requests; or what part of `deletes` it describes: sweep, tombstones."""
    by_manifest: bool = True
    """The manifest says how pages, changes and single records are asked for; else the protocol knows how."""
    bounded: bool = False
    """It can always be asked for what changed up to a value."""
    ordered: bool = False
    """Pages come in the order of the cursor unless a manifest says otherwise."""
    ids_alone: bool = False
    """It knows how to list ids alone, and tells of deletes in no other way."""
    refusals: tuple[Mapping[str, Any], ...] = ()
    """How every system of it says no, behind what a manifest says: rules in a manifest's words."""
    shuffled: bool = False
    """It sends a record's fields in any order."""


def graphql(data: Mapping[str, Any], part: str = "") -> dict[str, Any]:
    """The query as it stands, and its variables as the body around it; places are names of variables."""
    del part
    found = {name: value for name, value in data.items() if name not in {"query", "variables"}}
    found["verbatim"] = {"query": data["query"]} if "query" in data else {}
    found["body"] = {"variables": data.get("variables", {})}
    found["paging"] = {kind: _in_variables(options) for kind, options in data.get("paging", {}).items()}
    if "incremental" in data:
        found["incremental"] = _in_variables(data["incremental"])
    if "query" in (alone := data.get("single", {})):
        own = {name: value for name, value in alone.items() if name not in {"query", "variables"}}
        found["single"] = {
            **own,
            "verbatim": {"query": alone["query"]},
            "body": {"variables": alone.get("variables", {})},
        }
    return found


def _in_variables(options: Mapping[str, Any]) -> dict[str, Any]:
    if options.get("in", "body") != "body":
        return dict(options)
    places = {"param", "limit_param", "size_param", "until_param"}
    moved = {name: f"variables.{value}" if name in places else value for name, value in options.items()}
    return {**moved, "in": "body"} if places & moved.keys() else moved


_TRYTON: Mapping[str, Any] = {
    "key": "id",
    "records": "result",
    "incremental": {"field": list(TRYTON_TIMES), "format": "typed_json"},
    "updated_at": {"field": list(TRYTON_TIMES), "format": "typed_json"},
}

PRESETS: Mapping[str, Preset] = {
    "rest": Preset(),
    "graphql": Preset(
        needs=("query", "records", "key"),
        defaults={"path": "/graphql", "method": "POST"},
        spelled=graphql,
        refusals=({"path": "errors", "kind": "operator", "words": "errors.0.message"},),
    ),
    "odata": Preset(needs=("odata", "key"), spelled=odata),
    "odoo": Preset(("model", "fields"), odoo.DEFAULTS_JSON2, odoo.json2),
    "odoo_jsonrpc": Preset(("model", "fields"), odoo.DEFAULTS_JSONRPC, odoo.jsonrpc),
    "sql": Preset(("key",), {"records": ""}, by_manifest=False, bounded=True, ordered=True),
    "singer": Preset(("tap", "key"), {"records": ""}, tap_words, by_manifest=False),
    "tryton": Preset(
        ("model", "fields"), _TRYTON, by_manifest=False, bounded=True, ids_alone=True, shuffled=True
    ),
}
