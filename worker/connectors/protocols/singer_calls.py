"""What is asked of a tap's carrier, and what does it answer? Plain data between the source (here) and `worker/taps`.

Every request says all that a new process needs, so that any worker can answer it: the tap, its config without secrets, the
stream, and the state to go on from. `session` and `number` say which batch of which living process is meant; where that
process is gone, the state leads a new one to the same place.
"""

from typing import Any, Literal

import msgspec

from worker.connectors.contract import Request, Response
from worker.connectors.manifest.singer import CatalogBy, Method

RUN, DISCOVER = "RUN", "DISCOVER"
TOLD = "x-tap"
"""The header in which an answer says what isn't a record."""

Versions = Literal["none", "open", "activated"]


class Choice(msgspec.Struct, frozen=True):
    """The one stream that a run reads, and how."""

    stream: str
    method: Method | None = None
    replication_key: str | None = None
    leave_out: tuple[str, ...] = ()
    """Fields that the tap needn't read."""
    key: tuple[str, ...] = ()
    """The fields that tell records apart, as the connection describes them; none: not known here."""


class Asked(msgspec.Struct, frozen=True):
    """One request."""

    tap: str
    config: dict[str, Any]
    executable: str | None = None
    catalog: CatalogBy = "catalog"
    choice: Choice | None = None
    state: str | None = None
    session: str | None = None
    number: int = 0

    def request(self, *, cost: int = 1) -> Request:
        method = RUN if self.choice is not None else DISCOVER
        return Request(method, "tap:", body=msgspec.json.encode(self), cost=cost)


class Odd(msgspec.Struct, frozen=True):
    """A line that was meant to be a record, and can't be taken."""

    code: str
    reason: str
    begins: str


class Told(msgspec.Struct, frozen=True):
    """What a batch says beside its records."""

    session: str
    number: int
    """Of the batch that comes next."""
    state: str | None = None
    """The last STATE up to the batch's end; None: there was none so far in this process."""
    done: bool = False
    versions: Versions = "none"
    """Whether records were of a version of their table, and that was activated after the last of them."""
    odd: tuple[Odd, ...] = ()


_asked = msgspec.json.Decoder(Asked).decode
_told = msgspec.json.Decoder(Told).decode


def asked_by(request: Request) -> Asked:
    """What a request asks for."""
    return _asked(request.body or b"")


def answer(records: bytes, told: Told) -> Response:
    """A batch as an answer: the body is the list of its records."""
    return Response(200, {TOLD: msgspec.json.encode(told).decode()}, records, "tap:")


def told_by(response: Response) -> Told:
    """What an answer says beside its records."""
    return _told(response.headers[TOLD])
