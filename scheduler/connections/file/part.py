"""One connection's part of the file: its data, its places, and the problems found in it so far."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from worker.connectors.describing import BadDescription
from worker.errors import InvalidInput
from worker.parsing.documents import Document, find_problems

Step = str | int
Result = TypeVar("Result")


def parts_of(document: Document, key: str) -> list["Part"]:
    """The parts of the list at `key`. The places are handed out in one pass, since files may be long."""
    lines: list[dict[tuple[Step, ...], int]] = [{} for _ in document.data[key]]
    for path, line in document.lines.items():
        if len(path) > 1 and path[0] == key and isinstance(path[1], int):
            lines[path[1]][path[2:]] = line
    return [Part(document, (key, index), inner) for index, inner in enumerate(lines)]


class Part:
    """Paths are counted from the part's own root."""

    def __init__(
        self, document: Document, root: tuple[Step, ...], lines: Mapping[tuple[Step, ...], int]
    ) -> None:
        self._whole = document
        self._root = root
        self._lines = lines
        self.problems: list[InvalidInput] = []
        self._broken: list[tuple[Step, ...]] = []
        self.data: Any = document.data
        for step in root:
            self.data = self.data[step]

    def check_schema(self, schema: Mapping[str, Any]) -> None:
        """Note what the schema finds, and where, so that nothing else stumbles over it."""
        # A document of its own, so that fields are called by their short names.
        document = replace(self._whole, data=self.data, lines=self._lines)
        found = find_problems(document, schema)
        misspelled = {problem.path[:-1] for problem in found if problem.misspelled}
        self._broken = [problem.path for problem in found if problem.path]
        self.problems += [
            problem.error(document)
            for problem in found
            if problem.code != "missing_key" or problem.path not in misspelled
        ]

    def sound(self, *path: Step) -> bool:
        """Whether the schema (or `spoil`) found nothing wrong at `path`, around it or in it."""
        return not any(
            broken[: len(path)] == path or path[: len(broken)] == broken for broken in self._broken
        )

    def place(self, *path: Step) -> str:
        return self._whole.place((*self._root, *path))

    def get(self, *path: str) -> Any:
        """What stands there, or None."""
        value = self.data
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def mapping(self, *path: str) -> Mapping[str, Any]:
        """The mapping that stands there, or an empty one."""
        value = self.get(*path)
        return value if isinstance(value, dict) else {}

    def add(self, code: str, message: str, *path: Step, hint: str | None = None) -> None:
        self.problems.append(self._whole.error((*self._root, *path), code, message, hint=hint))

    def spoil(self, code: str, message: str, *path: Step, hint: str | None = None) -> None:
        """The same, and nothing more need be said of what stands there: it isn't `sound`."""
        self.add(code, message, *path, hint=hint)
        self._broken.append(path)

    def attempt(self, read: Callable[[], Result], *path: Step, otherwise: Result) -> Result:
        """What `read` returns; where it finds something wrong at `path`, that is noted and `otherwise` returned.

        An error's own place is a field in there, or a place in the file already.
        """
        try:
            return read()
        except BadDescription as exc:
            for one in (exc, *exc.others):
                self.add(one.code, one.message, *path, *one.path, hint=one.hint)
            return otherwise
        except InvalidInput as exc:
            if exc.place is not None and self._whole.holds(exc.place):
                self.problems.append(exc)
            else:
                within = tuple(exc.place.split(".")) if exc.place else ()
                inner = within[1:] if path and within[:1] == path[-1:] else within
                self.add(exc.code, exc.message, *path, *inner, hint=exc.hint)
            return otherwise
