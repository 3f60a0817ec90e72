"""Where do systems lie? In the catalogue, in folders that the settings name, and in packages that are installed.

A package says so by an entry point of the group `headrace.connectors`. What that gives is a folder, or a package whose
files are the folder; the folder is a system's own, or holds one for each system. Whatever goes wrong in a package is a
problem that is told, and never the end of the process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from worker.connectors.registry.edition import MANIFEST
from worker.errors import InvalidInput

CATALOG = Path(__file__).parents[1] / "catalog"
GROUP = "headrace.connectors"

Problem = tuple[Path, InvalidInput]


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in which systems lie."""

    folder: Path
    fixed: bool = False
    """It comes with Headrace."""
    watched: bool = False
    """People edit what is in it."""

    def systems(self) -> Iterator[Path]:
        """The folder of each system, in the order of their names."""
        if (self.folder / MANIFEST).is_file():
            yield self.folder
            return
        yield from sorted(path.parent for path in self.folder.glob(f"*/{MANIFEST}") if path.is_file())


def places(folders: Sequence[Path]) -> tuple[list[Place], list[Problem]]:
    """All of them, in the order in which they may name a system; and what can't be had."""
    found, problems = [Place(CATALOG, fixed=True)], list[Problem]()
    for folder in folders:
        if folder.is_dir():
            found.append(Place(folder, watched=True))
        else:
            words = "The folder of connectors doesn't exist."
            problems.append((folder, InvalidInput("no_folder", words, place=str(folder))))
    for point in entry_points(group=GROUP):
        try:
            found.append(Place(_folder_of(point)))
        except InvalidInput as exc:
            problems.append((Path(f"{GROUP}:{point.name}"), exc))
    return found, problems


def _folder_of(point: EntryPoint) -> Path:
    where = f"entry point {point.name} = {point.value}"
    try:
        given: Any = point.load()
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - it is the code of a stranger
        words = f"It can't be loaded: {type(exc).__name__}: {exc}"
        raise InvalidInput("bad_entry_point", words[:500], place=where) from None
    folder = _path_of(given)
    if folder is None or not folder.is_dir():
        words = f"It gives {type(given).__name__}, and not a folder or a package with its files."
        raise InvalidInput("bad_entry_point", words, place=where)
    return folder


def _path_of(given: Any) -> Path | None:
    if isinstance(given, ModuleType):
        return Path(given.__file__).parent if given.__file__ else next(map(Path, given.__path__), None)
    return Path(given) if isinstance(given, str | Path) else None
