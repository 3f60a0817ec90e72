"""What does a YAML or JSON file say, and on which line?

Files that people write (manifests, the connections file) are read here into plain data that remembers its places, so
every complaint can name `file:line`, the field and the nearest valid name. What YAML makes of a text is what stands there:
`no`, `12:30`, `2024-01-01` and `0123` stay what was written (`building`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.errors import InvalidInput
from worker.parsing.building import Builder, read_json, read_yaml
from worker.parsing.complaints import Problem, problems_in
from worker.parsing.wording import Path_, field_path, nearest, suggest

__all__ = [
    "MAX_BYTES",
    "Document",
    "Problem",
    "field_path",
    "find_problems",
    "load_document",
    "nearest",
    "read_document",
    "suggest",
    "validate",
]

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Document:
    """Plain data, and the line of every value in it."""

    name: str
    data: Any
    lines: Mapping[tuple[str | int, ...], int] = field(repr=False)

    def place(self, path: Path_) -> str:
        """`file:line` of a value (the line of its key), or of the nearest thing around it that exists."""
        return f"{self.name}:{self.line(path)}"

    def line(self, path: Path_) -> int:
        spot = tuple(path)
        while spot and spot not in self.lines:
            spot = spot[:-1]
        return self.lines.get(spot, 1)

    def holds(self, place: str) -> bool:
        """Whether that is a place in here already."""
        return place.startswith(f"{self.name}:")

    def error(self, path: Path_, code: str, message: str, *, hint: str | None = None) -> InvalidInput:
        """The error to raise for what stands at `path`."""
        return InvalidInput(code, message, place=self.place(path), hint=hint)


def load_document(path: Path) -> Document:
    """Read a file; `.json` is JSON, anything else YAML."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise InvalidInput(
            "unreadable_file", f"The file can't be read: {exc.strerror}.", place=str(path)
        ) from None
    return read_document(content, str(path))


def read_document(content: bytes, name: str) -> Document:
    """Read what a file holds; `name` is how its places are called."""
    if len(content) > MAX_BYTES:
        raise InvalidInput("file_too_large", f"The file is larger than {MAX_BYTES // 1024} kB.", place=name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise InvalidInput("bad_yaml", "The file is not UTF-8 text.", place=f"{name}:{line}") from None
    builder = Builder(name)
    (read_json if name.endswith(".json") else read_yaml)(text, builder)
    return Document(name, builder.data, builder.lines)


def validate(document: Document, schema: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` for the first problem: `unknown_key`, `missing_key` or `bad_value`.

    A key that is probably misspelled comes first: it explains the missing one beside it.
    """
    if problems := find_problems(document, schema):
        raise min(problems, key=lambda problem: not problem.misspelled).error(document)


def find_problems(document: Document, schema: Mapping[str, Any]) -> list[Problem]:
    """All that is wrong, by line."""
    return sorted(problems_in(document.data, schema), key=lambda problem: document.line(problem.path))
