"""What is wrong with a connection's `describe`, and where?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.connectors.describing.words import DESCRIBE, within
from worker.errors import InvalidInput
from worker.parsing.documents import Document, field_path

Path = tuple[str | int, ...]


class BadDescription(InvalidInput):
    """One mistake, at its `path` below the settings; `others` are told with it where all can be told."""

    def __init__(self, path: Path, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(code, message, place=f"settings.{field_path(path)}", hint=hint)
        self.path = path
        self.others: tuple[BadDescription, ...] = ()


def first_of(mistakes: Sequence[BadDescription]) -> BadDescription:
    """The first, which takes the others along."""
    first, *others = mistakes
    first.others = tuple(others)
    return first


@dataclass(frozen=True)
class MergedDocument(Document):
    """A manifest and what a connection says over it. Whatever is wrong there, the connection said it: the manifest alone is
    right.
    """

    own: Mapping[str, Any] = field(default_factory=dict)

    def error(
        self, path: Sequence[str | int], code: str, message: str, *, hint: str | None = None
    ) -> InvalidInput:
        return BadDescription((DESCRIBE, *within(self.own, path)), code, message, hint)
