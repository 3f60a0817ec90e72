"""What is wrong with a manifest, all at once? For whoever writes one: `load_manifest` stops at the first thing.

What the schema says is known at once. What lies beyond it (a setting that isn't there, a format that doesn't fit) is found
by reading: what is wrong is taken out of a copy, and the rest read again. So something may stay unsaid that only shows
where two mistakes are mended; nothing is said that isn't so.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.connectors.hooks.loading import hook_beside
from worker.connectors.manifest.model import Manifest, load_manifest, read_manifest
from worker.connectors.manifest.schema import schema
from worker.errors import InvalidInput
from worker.parsing.documents import Document, Problem, find_problems, load_document

MOST = 50
_NAMED = ("streams", "settings", "secrets")
_STUB: dict[str, Any] = {"path": "/stub", "records": "", "key": "id"}
_STUBS: dict[str, Any] = {
    "manifest": 1,
    "system": "stub",
    "title": "Stub",
    "protocol": "rest",
    "base_url": "https://example.com",
    "streams": {"stub": _STUB},
}
"""What stands in for what is missing, so that the rest can be read."""

Path_ = tuple[str | int, ...]


class BadManifest(InvalidInput):
    """Several things are wrong with a manifest; each of `problems` has its own place and hint."""

    def __init__(self, path: Path, problems: list[InvalidInput]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__("bad_manifest", f"{len(problems)} problems in {path}:{lines}")
        self.problems = tuple(problems)


def load_or_tell_all(path: Path) -> Manifest:
    """The manifest; `InvalidInput` for all that is wrong with it, and not only for the first thing."""
    try:
        return load_manifest(path)
    except InvalidInput:
        problems = problems_of(path)
        if len(problems) > 1:
            raise BadManifest(path, problems) from None
        raise


def problems_of(path: Path) -> list[InvalidInput]:
    """All that is wrong with it, as far as it can be told, by line; with its hook, where it has one."""
    try:
        document = load_document(path)
    except InvalidInput as exc:
        return [exc]
    found = find_problems(document, schema())
    problems = [problem.error(document) for problem in _telling(found)]
    if isinstance(document.data, dict):
        copy = _Copy(document)
        copy.mend(found)
        problems += copy.beyond()
        problems += _around(document, path)
    return sorted(_once(problems), key=lambda problem: _line_of(problem, document))


def _telling(found: list[Problem]) -> Iterator[Problem]:
    """Without the keys that are missing only because they are misspelled."""
    misspelled = {(*problem.path[:-1], problem.meant) for problem in found if problem.meant}
    for problem in found:
        if problem.code != "missing_key" or not any(
            place[:-1] == problem.path and repr(place[-1]) in problem.message for place in misspelled
        ):
            yield problem


def _around(document: Document, path: Path) -> Iterator[InvalidInput]:
    data = document.data
    system = data.get("system")
    if isinstance(system, str) and system != path.parent.name:
        message = f"The folder is called {path.parent.name!r}, the system {system!r}."
        yield document.error(("system",), "bad_value", message, hint="Give both the same name.")
    if isinstance(system, str) and "hook" in data and data.get("hook") == Path(str(data["hook"])).name:
        try:
            hook_beside(document, path.parent)
        except InvalidInput as exc:
            yield exc


@dataclass(slots=True)
class _Copy:
    """What is left of a document when what is wrong is taken out."""

    document: Document
    data: Any = field(init=False)
    gone: set[str] = field(default_factory=set)
    """Names that were taken out: that they aren't there is nobody's mistake."""
    around: set[int] = field(default_factory=set)
    """The lines of what something was taken out of: what it lacks now is no mistake either."""

    def __post_init__(self) -> None:
        self.data = deepcopy(self.document.data)

    def mend(self, problems: list[Problem]) -> None:
        """Take out what is wrong, and what then lacks something, until the schema has nothing to say."""
        for _ in range(MOST):
            for problem in problems:
                self._mend(problem)
            problems = find_problems(self._as_it_is(), schema())
            if not problems:
                return

    def beyond(self) -> Iterator[InvalidInput]:
        """What reading finds."""
        for _ in range(MOST):
            try:
                read_manifest(self._as_it_is())
            except InvalidInput as exc:
                if self._is_theirs(exc):
                    yield exc
                if not self._take_out(exc):
                    return
            except Exception:  # noqa: BLE001 - what is left can't be read: then no more is said
                return
            else:
                return

    def _is_theirs(self, error: InvalidInput) -> bool:
        """Whether it was wrong before anything was taken out."""
        named = any(repr(name) in error.message for name in self.gone)
        return not named and _line_of(error, self.document) not in self.around

    def _as_it_is(self) -> Document:
        return Document(self.document.name, self.data, self.document.lines)

    def _take_out(self, error: InvalidInput) -> bool:
        """Whatever stands on the line of an error, with all that is in it."""
        line = _line_of(error, self.document)
        on_it = [path for path, at in self.document.lines.items() if at == line and path and self._has(path)]
        if not on_it:
            return False
        self._delete(min(on_it, key=len))
        self.mend([])
        return True

    def _mend(self, problem: Problem) -> None:
        if problem.meant is not None and self._has(problem.path):
            around = self._at(problem.path[:-1])
            value = around.pop(problem.path[-1])
            around.setdefault(problem.meant, value)
        elif problem.path:
            self._delete(problem.path)
        elif problem.code == "missing_key" and isinstance(self.data, dict):
            self.data = {**deepcopy(_STUBS), **self.data}

    def _delete(self, path: Path_) -> None:
        if not self._has(path):
            return
        if len(path) == 2 and path[0] in _NAMED:
            self.gone.add(str(path[1]))
        if len(path) > 1:
            self.around.add(self.document.line(path[:-1]))
        if len(path) == 3 and path[0] == "streams" and path[2] in _STUB:
            self._at(path[:-1])[path[-1]] = _STUB[str(path[2])]
        else:
            del self._at(path[:-1])[path[-1]]

    def _has(self, path: Path_) -> bool:
        try:
            self._at(path)
        except (KeyError, IndexError, TypeError):
            return False
        return True

    def _at(self, path: Path_) -> Any:
        value = self.data
        for step in path:
            value = value[step]
        return value


def _line_of(problem: InvalidInput, document: Document) -> int:
    place = str(problem.place)
    number = place.rpartition(":")[2]
    return int(number) if document.holds(place) and number.isdecimal() else 0


def _once(problems: list[InvalidInput]) -> list[InvalidInput]:
    return list({(problem.place, problem.message): problem for problem in problems}.values())
