"""One connection's part of the file: its data, its places, and the problems found in it so far."""

from collections.abc import Callable
from typing import Any, TypeVar

from worker.documents import Document
from worker.errors import InvalidInput

Step = str | int
Result = TypeVar("Result")


class Part:
    """Paths are counted from the part's own root."""

    def __init__(self, document: Document, root: tuple[Step, ...]) -> None:
        self._whole = document
        self._root = root
        self.problems: list[InvalidInput] = []
        self.data: Any = document.data
        for step in root:
            self.data = self.data[step]

    def document(self) -> Document:
        """The part as a document of its own, so that fields are called by their short names."""
        depth = len(self._root)
        lines = {path[depth:]: line for path, line in self._whole.lines.items() if path[:depth] == self._root}
        return Document(self._whole.name, self.data, lines)

    def place(self, *path: Step) -> str:
        return self._whole.place((*self._root, *path))

    def get(self, *path: str) -> Any:
        """What stands there, or None."""
        value = self.data
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def add(self, code: str, message: str, *path: Step, hint: str | None = None) -> None:
        self.problems.append(self._whole.error((*self._root, *path), code, message, hint=hint))

    def attempt(self, read: Callable[[], Result], *path: Step, otherwise: Result) -> Result:
        """What `read` returns; where it finds something wrong at `path`, that is noted and `otherwise` returned.

        An error's own place is a field in there, or a place in the file already.
        """
        try:
            return read()
        except InvalidInput as exc:
            if exc.place is not None and exc.place.startswith(f"{self._whole.name}:"):
                self.problems.append(exc)
            else:
                within = tuple(exc.place.split(".")) if exc.place else ()
                inner = within[1:] if path and within[:1] == path[-1:] else within
                self.add(exc.code, exc.message, *path, *inner, hint=exc.hint)
            return otherwise
