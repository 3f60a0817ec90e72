"""How does a request come together? From what the manifest says of all of them, and what this one asks besides.

A place is a parameter of the query, or a path in the body whose numbers are places of lists: `params.1`. A request whose
manifest speaks of no body pays nothing for those that have one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from worker.connectors.contract import Request
from worker.connectors.manifest.templates import as_text
from worker.errors import InvalidInput

Where = Literal["query", "body"]
Arrays = Literal["repeat", "comma", "brackets"]
Said = tuple[str, Any]
"""The name of a place, and what is put there."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Values for one part of the request."""

    where: Where
    values: Sequence[Said]


@dataclass(frozen=True, slots=True)
class Outline:
    """What all requests of a stream of one connection have in common, with its settings filled in."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: Sequence[tuple[str, str]] = ()
    body: Any = None
    """JSON, or text that is sent as it is; None: no body unless something is put into it."""

    def request(
        self, *parts: Placed, url: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Request:
        """With these values in their places. A `url` that the system named is followed as it is, without parameters."""
        params = [] if url is not None else list(self.params)
        body = self.body
        for part in parts:
            if part.where == "query":
                params += [] if url is not None else [(name, as_text(value)) for name, value in part.values]
            else:
                for name, value in part.values:
                    body = put(body, tuple(name.split(".")), value)
        own = self.headers if headers is None else {**self.headers, **headers}
        where = self.url if url is None else url
        if body is None:
            return Request(self.method, where, params, own)
        content = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
        return Request(self.method, where, params, {"Content-Type": "application/json", **own}, content)


def put(body: Any, path: Sequence[str], value: Any) -> Any:
    """A copy of the body with the value at that path; what lies between is made."""
    if not path:
        return value
    name, *rest = path
    if name.isdigit() and not isinstance(body, Mapping):
        if body is not None and not isinstance(body, list):
            raise InvalidInput(
                "bad_value", f"Nothing can be put at {name!r} in the body: what is there is no list."
            )
        items = list(body or [])
        at = int(name)
        if at > len(items) + 1000:
            raise InvalidInput("bad_value", f"The body has no place {name}.")
        items += [None] * (at + 1 - len(items))
        items[at] = put(items[at], rest, value)
        return items
    if body is not None and not isinstance(body, Mapping):
        raise InvalidInput(
            "bad_value", f"Nothing can be put at {name!r} in the body: what is there is no object."
        )
    fields = dict(body or {})
    fields[name] = put(fields.get(name), rest, value)
    return fields


def spread(name: str, values: Sequence[str], arrays: Arrays) -> list[tuple[str, str]]:
    """A parameter with several values, as the system wants them."""
    if arrays == "comma":
        return [(name, ",".join(values))]
    return [(f"{name}[]" if arrays == "brackets" else name, value) for value in values]
