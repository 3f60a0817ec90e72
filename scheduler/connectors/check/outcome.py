"""What came of a check: plain data, and how a check says it."""

from dataclasses import dataclass
from typing import Any, Literal

Mark = Literal["passed", "failed", "not applicable", "faulty"]
"""`faulty`: the double failed, so nothing is said of the connector."""


class Broken(Exception):
    """A promise isn't kept."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}; came {came}")
        self.expected = expected
        self.came = came


class Spared(Exception):
    """A check says nothing of this stream, for a reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one check and one stream, or of the whole connection where `stream` is None."""

    check: str
    mark: Mark
    words: str = ""
    """What was seen, or why it says nothing."""
    stream: str | None = None
    expected: str | None = None
    came: str | None = None
    request: str | None = None
    """The last request before it was seen; secrets are masked."""

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in found.items() if value not in {None, ""}}
