"""What does a request look like on the wire, and in an error or a log?"""

from worker.connectors.contract import Request, Source
from worker.errors import HeadraceError
from worker.http.address import Address, address_of, home_of
from worker.http.body import ACCEPTED
from worker.http.wire.message import Outgoing
from worker.telemetry.redaction import redactor

USER_AGENT = "headrace"
_DEFAULTS = {"accept": "*/*", "user-agent": USER_AGENT, "accept-encoding": ACCEPTED}


def as_sent(outgoing: Request, address: Address, request_id: str) -> Outgoing:
    """As it is sent."""
    headers = dict(_DEFAULTS)
    headers["x-request-id"] = request_id
    for name, value in outgoing.headers.items():
        headers[name.lower()] = value
    return Outgoing(
        address.origin,
        outgoing.method.upper(),
        address.target,
        address.place,
        tuple(headers.items()),
        outgoing.body,
    )


def url_of(source: Source, outgoing: Request) -> str:
    """The whole URL that it is sent to, to the byte."""
    address = address_of(home_of(source, outgoing), outgoing)
    return f"{address.origin.scheme}://{address.place}{address.target}"


def in_words(address: Address, outgoing: Request) -> str:
    """In words, without its query and without a secret."""
    return redactor.redact(f"{outgoing.method} {address.path}")


def redact(error: HeadraceError) -> None:
    """A system's words may repeat what was sent to it."""
    error.message = redactor.redact(error.message)
    error.hint = None if error.hint is None else redactor.redact(error.hint)
    error.args = (error.message,)
