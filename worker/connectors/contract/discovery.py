"""What is there, at the system? Found by asking it, and told in the manifest's own words."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.connectors.contract.exchange import Request, Response


@dataclass(frozen=True, slots=True)
class Found:
    """A kind of record that a connection could sync."""

    name: str
    """As the stream would be called: lower case letters, digits and _."""
    title: str
    describe: Mapping[str, Any]
    """The stream in the manifest's own words: what stands below its name in `settings.describe.streams`."""
    key: tuple[str, ...] = ()
    """The paths of the fields that a record's key is made of; none: it has none that is known."""
    cursor: str | None = None
    """By which field changes are known; None: it can only be read whole."""
    fields: Sequence[str] = ()
    """The names of a record's fields, as far as the system tells them."""
    remarks: Sequence[str] = field(default_factory=tuple)
    """What is unsure or missing, in sentences for whoever chooses."""


Discovery = Generator[Request, Response, Sequence[Found]]
"""Asks for one thing after the other and returns what it found.

Requests are sent as a run's are: with the source's auth, under its budget. An answer that `Source.failure` calls one is
thrown into the generator as that error: who can do without the answer catches it. Statuses in `Request.absent` come back.
"""
