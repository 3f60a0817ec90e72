"""What does a reader or a subscription see, and whose is its name? Pure.

A view is an environment, tenants, connections and labels; None is no limit. Names are kept apart by the view of whoever
gave them, in what a name can't hold: before a line end. So nobody meets the names of others, nor learns that there are any.
Names of the command line, and of whoever sees all that is live, stand by themselves, as they always did.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from psycopg.types.json import Jsonb

View: TypeAlias = Mapping[str, Any]

LIMITS = ("environment", "tenants", "connections", "labels")
EVERYTHING: View = dict.fromkeys(LIMITS)

_END = "\n"


def is_limited(view: View) -> bool:
    """Whether it is less than a whole environment."""
    return any(view[name] is not None for name in LIMITS[1:])


def space_of(view: View) -> str:
    """Where the names are that are given by whoever sees this."""
    if view["environment"] in {None, "live"} and not is_limited(view):
        return ""
    limits = {name: view[name] for name in LIMITS[:3]}
    return hashlib.sha256(json.dumps(limits, sort_keys=True).encode()).hexdigest()[:32]


def kept_name(space: str, name: str) -> str:
    """How a name is kept."""
    return f"{space}{_END}{name}" if space else name


def given_name(kept: str) -> str:
    """The name as it was given."""
    return kept.rpartition(_END)[2]


def space_in(kept: str) -> str:
    """Whose it is."""
    return kept.rpartition(_END)[0]


def view_in(row: Mapping[str, Any]) -> dict[str, Any]:
    """The view that a row holds, as parameters of SQL."""
    labels = row.get("labels")
    return {**{name: row[name] for name in LIMITS[:3]}, "labels": None if labels is None else Jsonb(labels)}
