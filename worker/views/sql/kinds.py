"""How is a value read as a type, in SQL? And which type have the values that were seen?

Pure. Casts are functions of the migration that give NULL where a value doesn't read as its type.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """`read` makes a value of the type out of `{}`, which is text, or JSON if `typed`."""

    sql: str
    read: str
    typed: bool = False


_MILLISECONDS = "substring({} from '^/Date[(](-?[0-9]+)([+-][0-9]+)?[)]/$')"
"""Of `/Date(1492041600000+0000)/`, as OData V2 writes times."""

KINDS: Mapping[str, Kind] = {
    "text": Kind("text", "{}"),
    "number": Kind("numeric", "headrace_numeric({})"),
    "integer": Kind("bigint", "headrace_bigint({})"),
    "boolean": Kind("boolean", "headrace_boolean({})"),
    "time": Kind("timestamptz", "headrace_time({})"),
    "date": Kind("date", "headrace_date({})"),
    "epoch_s": Kind("timestamptz", "headrace_epoch({}, 1)"),
    "epoch_ms": Kind("timestamptz", "headrace_epoch({}, 1000)"),
    "odata_date": Kind("timestamptz", f"headrace_epoch({_MILLISECONDS}, 1000)"),
    "odata_day": Kind("date", f"(headrace_epoch({_MILLISECONDS}, 1000) AT TIME ZONE 'UTC')::date"),
    "json": Kind("json", "{}", typed=True),
    "typed_time": Kind("timestamptz", "headrace_typed_time({})", typed=True),
    "typed_date": Kind("date", "headrace_typed_date({})", typed=True),
    "typed_decimal": Kind("numeric", "headrace_typed_decimal({})", typed=True),
}

_SEEN = {
    frozenset({"boolean"}): "boolean",
    frozenset({"integer"}): "number",
    frozenset({"number"}): "number",
    frozenset({"integer", "number"}): "number",
    frozenset({"time"}): "time",
    frozenset({"date"}): "date",
    frozenset({"object"}): "json",
    frozenset({"list"}): "json",
    frozenset({"object", "list"}): "json",
}


def kind_of(name: str, types: Collection[str]) -> str | None:
    """The kind that holds all of what was seen; None while no value was seen at all.

    Whole numbers are kept as `numeric`, since a 0 says nothing about what comes after it; only what names a record is
    `bigint`.
    """
    seen = frozenset(types) - {"null"}
    if not seen:
        return None
    if seen == {"integer"} and names_record(name):
        return "integer"
    return _SEEN.get(seen, "text")


def without_false(types: Collection[str]) -> Collection[str]:
    """What else was seen, where `false` stands for nothing."""
    return {*types} - {"boolean"} if {*types} - {"boolean", "null"} else types


def names_record(name: str) -> bool:
    """Whether a field holds a number that names something: `id`, `asset_id`, `assetId`, `assetID`."""
    return name.lower() == "id" or name.endswith(("_id", "Id", "ID"))
