"""Which streams could be made of a database's models? What `ir.model` and `ir.model.fields` say decides. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.connectors.contract import Found
from worker.connectors.manifest.streams.odoo import CHANGED

MODELS: Mapping[str, Any] = {
    "model": "ir.model",
    "domain": [["transient", "=", False]],
    "fields": ["model", "name"],
}
FIELDS: Mapping[str, Any] = {
    "model": "ir.model.fields",
    "domain": [["store", "=", True]],
    "fields": ["model", "name", "ttype", "groups"],
}
_LARGE = frozenset({"binary"})
_LISTS = frozenset({"one2many"})
"""Records of their own, which change without touching the one that holds them."""
_ALWAYS = frozenset({"id", CHANGED})
_LONGEST_NAME = 63


def streams_of(models: Sequence[Mapping[str, Any]], fields: Sequence[Mapping[str, Any]]) -> list[Found]:
    """All models that have stored fields, by their names."""
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for field in fields:
        by_model.setdefault(str(field.get("model")), []).append(field)
    known = sorted((str(one.get("model")), str(one.get("name") or "")) for one in models)
    return [_found(model, title, by_model[model]) for model, title in known if model in by_model]


def _found(model: str, title: str, fields: Sequence[Mapping[str, Any]]) -> Found:
    names = {str(field["name"]) for field in fields}
    restricted = sorted(str(field["name"]) for field in fields if field.get("groups"))
    left_out = _LARGE | _LISTS
    chosen = sorted(
        str(field["name"])
        for field in fields
        if field.get("ttype") not in left_out and not field.get("groups") and field["name"] not in _ALWAYS
    )
    remarks = []
    if CHANGED not in names:
        remarks.append("It doesn't say when a record changed: all of it is read each time.")
    if restricted:
        remarks.append(f"Only some groups may read {', '.join(restricted)}: left out.")
    describe: dict[str, Any] = {"model": model, "fields": chosen or ["id"]}
    if CHANGED in names:
        describe["incremental"] = {}
    return Found(
        name=model.replace(".", "_")[:_LONGEST_NAME],
        title=title or model,
        describe=describe,
        key=("id",),
        cursor=CHANGED if CHANGED in names else None,
        fields=tuple(sorted(names)),
        remarks=tuple(remarks),
    )
