"""What do the files say now? Every system's folder, read when it changed, and what is served because of it.

A state never changes but in what was worked out from it: whoever began with one ends with it, and the next is put in its
place at a stroke.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from worker.connectors.contract import Connector
from worker.connectors.registry.edition import MANIFEST, Edition, read_edition
from worker.connectors.registry.places import Place, Problem
from worker.connectors.registry.stamps import Stamp, stamps
from worker.errors import InvalidInput

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class State:
    """What is served, and what was found out on the way."""

    good: Mapping[str, Edition] = field(default_factory=dict)
    broken: Mapping[str, InvalidInput] = field(default_factory=dict)
    """Systems of which the file is wrong, with what is wrong. The last good one may be served all the same."""
    problems: Sequence[Problem] = ()
    resolved: dict[tuple[str, str | None], Connector] = field(default_factory=dict)
    """What was asked for already, by system and version."""
    misfits: dict[tuple[str, str], Problem] = field(default_factory=dict)
    """Versions that connections are pinned to and that can't follow their file."""


class Files:
    """The folders of all systems. One thread at a time looks; any number use what it found."""

    def __init__(self, places: Sequence[Place], taken: Sequence[str] = ()) -> None:
        """`taken` are names that no folder may have."""
        self._places = list(places)
        self._taken = frozenset(taken)
        self._read: dict[Path, Edition | InvalidInput] = {}
        self._stamps: dict[Path, Stamp] = {}
        self._looking = threading.Lock()
        for place in self._places:
            for folder in place.systems():
                if folder not in self._read:
                    self._read[folder] = _read(folder, fixed=place.fixed)
        self._stamps = self._stamped()
        self.state = self._next(State())

    @property
    def watched(self) -> bool:
        """There are folders that people edit."""
        return any(place.watched for place in self._places)

    def look(self) -> list[str]:
        """Read anew what changed in these; the systems that are others now. Emits: systems_changed, manifest_refused."""
        if not self._looking.acquire(blocking=False):
            return []  # another thread looks
        try:
            now = self._stamped()
            if now == self._stamps:
                return []
            changed = {folder for folder, _ in now.items() ^ self._stamps.items()}
            self._stamps = now
            for folder in changed:
                self._read.pop(folder, None)
                if folder in now:
                    self._read[folder] = _read(folder, fixed=False)
            before = self.state
            self.state = self._next(before)
            return _changes(before, self.state)
        finally:
            self._looking.release()

    def _stamped(self) -> dict[Path, Stamp]:
        return stamps([place for place in self._places if place.watched])

    def _next(self, before: State) -> State:
        good: dict[str, Edition] = {}
        broken: dict[str, InvalidInput] = {}
        problems: list[Problem] = []
        for folder in self._in_order():
            match self._read[folder]:
                case Edition() as edition if edition.system in good or edition.system in self._taken:
                    problems.append((folder, _double(edition.system, folder)))
                case Edition() as edition:
                    good[edition.system] = edition
                case InvalidInput() as error:
                    problems.append((folder / MANIFEST, error))
                    broken.setdefault(folder.name, error)
        for system in broken:
            if system not in good and system in before.good:
                good[system] = before.good[system]  # the last that was good goes on
        same = {system for system in good if good[system] is before.good.get(system)}
        return State(
            good,
            broken,
            problems,
            resolved={key: one for key, one in before.resolved.items() if key[0] in same},
            misfits={key: told for key, told in before.misfits.items() if key[0] in same},
        )

    def _in_order(self) -> list[Path]:
        """As the places name them: the catalogue first. A folder that is new since they were listed comes with its place."""
        return [
            folder
            for place in self._places
            for folder in sorted(self._read)
            if place.folder in {folder, folder.parent}
        ]


def _changes(before: State, now: State) -> list[str]:
    for system, error in now.broken.items():
        if before.broken.get(system) is not error:
            going = now.good.get(system)
            log.error("manifest_refused", system=system, error=str(error), version=going and going.version)
    changed = [
        system
        for system in sorted({*now.good, *before.good})
        if now.good.get(system) is not before.good.get(system)
    ]
    if changed:
        versions = {system: now.good[system].version for system in changed if system in now.good}
        log.info("systems_changed", systems=versions)
    return changed


def _read(folder: Path, *, fixed: bool) -> Edition | InvalidInput:
    try:
        return read_edition(folder, fixed=fixed)
    except InvalidInput as exc:
        return exc
    except Exception as exc:  # noqa: BLE001 - a fault of ours in reading one manifest must not end the others
        words = f"The manifest can't be read: {type(exc).__name__}."
        return InvalidInput("broken_manifest", words, place=str(folder / MANIFEST))


def _double(system: str, folder: Path) -> InvalidInput:
    words = f"There is a system {system!r} already."
    return InvalidInput("double_system", words, place=str(folder / MANIFEST), hint="Give yours another name.")
