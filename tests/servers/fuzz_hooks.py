"""What the fuzzer is told of the data that lies there: every other name that it makes up is one that exists.

Read by Schemathesis, in a process of its own (`SCHEMATHESIS_HOOKS`).
"""

from typing import Any

import schemathesis

_NAMES = {
    "connection_id": ("acme", "own", "live/brick", "brick"),
    "stream": ("orders",),
    "key": ("WO-1", "WO-2"),
    "system": ("demo",),
    "model": ("work_order", "part"),
    "connection": ("acme", "own"),
}
_LASTING = {("DELETE", "/v1/connections/{connection_id}")}
"""Else nothing would be left to ask for after a moment."""


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    operation = context.operation
    if (operation.method.upper(), operation.path) in _LASTING:
        return path_parameters
    return _known(path_parameters)


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    return _known(query)


def _known(parameters: Any) -> Any:
    if not isinstance(parameters, dict):
        return parameters
    return {name: _one(name, value) for name, value in parameters.items()}


def _one(name: str, value: Any) -> Any:
    """By what was made up, so that a failing case stays the same when it is looked at again."""
    chance = sum(str(value).encode("utf-8", "surrogatepass"))
    if name == "wait" and _is_long(value):
        return 0.1
    known = _NAMES.get(name)
    if known is None or chance % 4 == 0:
        return value
    return known[chance // 4 % len(known)]


def _is_long(value: Any) -> bool:
    """Waiting is tried elsewhere; here the time is for asking."""
    try:
        return 0 < float(value) <= 60
    except (TypeError, ValueError):
        return False
