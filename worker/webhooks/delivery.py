"""What came in, what may be answered at once, and how a webhook is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from worker.errors import InvalidInput

H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request of a system, as it came. Header names are in lower case; `body` is every byte, unread."""

    method: str
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    params: Sequence[tuple[str, str]] = ()
    """Of the query, decoded."""
    url: str = ""
    """As the sender wrote it, with its query: some sign it."""
    rest: str = ""
    """What the path holds behind the connection: a secret, where a system has nothing better."""

    def header(self, name: str) -> str | None:
        """The header's value. One that came twice is none: whoever checks may read another than whoever acts."""
        found = [value for key, value in self.headers if key == name]
        return found[0] if len(found) == 1 else None

    def param(self, name: str) -> str | None:
        """The same for a parameter of the query."""
        found = [value for key, value in self.params if key == name]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a system wants to hear before it sends anything: its own token, or a challenge that was met."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(InvalidInput):
    """It isn't taken. `code` and words are for whoever sets the webhook up; the sender learns neither."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, place="webhook")


@dataclass(frozen=True, slots=True)
class Told(Generic[H]):
    """What a webhook tells of, and which of its events couldn't be read: one bad event stops no other."""

    hints: Sequence[H]
    refused: Sequence[Refusal] = ()
