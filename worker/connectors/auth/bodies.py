"""How does a request prove who it is where the system wants that in the body? Each place gets its text, as JSON.

body: {params.args.0: "{database}", params.args.1: {value: "{uid}", type: integer}, params.args.2: "{password}"}
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

import msgspec

from worker.connectors.auth.layered import Layered
from worker.connectors.auth.texts import Names, Text
from worker.connectors.contract import Request, Response, Step
from worker.connectors.reading.shape import FieldPath
from worker.connectors.requests.draft import put
from worker.errors import InvalidInput, NeedsOperator

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """One place in the body; numbers in its path are places of lists."""

    path: FieldPath
    text: Text
    integer: bool = False


@dataclass(frozen=True, slots=True)
class BodyAuth(Layered):
    """The body of every request that has one, on top of another way or alone."""

    places: tuple[Place, ...]
    names: Names

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        yield from self.inner.flow(with_places(request, self.places, self.names, secrets), secrets, held)


def with_places(
    request: Request,
    places: tuple[Place, ...],
    names: Names,
    secrets: Mapping[str, str],
    more: Mapping[str, str] = _NOTHING,
) -> Request:
    """The request with the texts in its body. One with something optional that isn't given is left out."""
    if not places or request.body is None:
        return request
    try:
        body = msgspec.json.decode(request.body)
        for place in places:
            if (text := names.text(place.text, secrets, more)) is not None:
                body = put(body, place.path, _number(place, text) if place.integer else text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidInput):
        raise NeedsOperator(
            "auth_unplaced",
            "The body of a request has no room for what proves who we are.",
            hint="Look at auth.body, and at the bodies of the streams, in the system's manifest.",
        ) from None
    return replace(request, body=msgspec.json.encode(body), asked=True)


def _number(place: Place, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise NeedsOperator(
            "bad_secret",
            f"What belongs to {'.'.join(place.path)} in the body is no whole number.",
            hint="Check the connection's settings, and what the references of its secrets lead to.",
        ) from None
