"""Which systems are there? Those that come with Headrace, and those in folders of the user's own.

A folder is `<folder>/<system>/manifest.yaml`. A broken manifest of a user's never takes the worker down: its system is
left out and told among `problems`. A user's system may not take the name of one that comes with Headrace.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Connector
from worker.connectors.manifest.model import load_manifest
from worker.errors import InvalidInput, NotFound
from worker.parsing.documents import suggest

CATALOG = Path(__file__).with_name("catalog")
MANIFEST = "manifest.yaml"

Problem = tuple[Path, InvalidInput]


class Registry:
    """The systems of one process. Read once at its start."""

    def __init__(self, connectors: Mapping[str, Connector], problems: Sequence[Problem] = ()) -> None:
        self._connectors = dict(connectors)
        self._problems = list(problems)

    @classmethod
    def load(cls, user_dirs: Sequence[Path] = ()) -> "Registry":
        connectors: dict[str, Connector] = {}
        problems: list[Problem] = []
        for path in _manifests(CATALOG):
            connector = ManifestConnector(load_manifest(path))
            connectors[connector.system] = connector
        for folder in user_dirs:
            if not folder.is_dir():
                missing = InvalidInput(
                    "no_folder", "The folder of connectors doesn't exist.", place=str(folder)
                )
                problems.append((folder, missing))
            for path in _manifests(folder):
                try:
                    _add(connectors, path)
                except InvalidInput as exc:
                    problems.append((path, exc))
        return cls(connectors, problems)

    def get(self, system: str) -> Connector:
        """The connector of that system, or `NotFound` with the nearest name."""
        if system not in self._connectors:
            message = f"There is no system {system!r}."
            raise NotFound("unknown_system", message, hint=suggest(system, self._connectors))
        return self._connectors[system]

    def connectors(self) -> list[Connector]:
        """All of them, in the order of their names."""
        return [self._connectors[system] for system in self.systems()]

    def systems(self) -> list[str]:
        return sorted(self._connectors)

    def problems(self) -> list[Problem]:
        """Manifests that could not be taken, and why."""
        return list(self._problems)


def _add(connectors: dict[str, Connector], path: Path) -> None:
    connector = ManifestConnector(load_manifest(path))
    if connector.system in connectors:
        message = f"There is a system {connector.system!r} already."
        raise InvalidInput("double_system", message, place=str(path), hint="Give yours another name.")
    connectors[connector.system] = connector


def _manifests(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.glob(f"*/{MANIFEST}") if path.is_file())
