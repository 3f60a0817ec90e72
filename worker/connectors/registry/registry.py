"""Which systems are there, and which version of one does a connection use?

A broken manifest never takes a process down: its system is told among `problems`, and connections to it go on with the
last version that was good, where one is known. Where none is, their runs end with the file and the line of what is wrong.

A connection is pinned to a version. One that comes with Headrace, or whose file is there no more, is found among those
that are kept. A developer's folder is followed as long as the release stays the same and what is kept of the streams
still fits; where it doesn't, the pinned version goes on until somebody upgrades the connection.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from worker.connectors.contract import Connector
from worker.connectors.manifest.model import Manifest
from worker.connectors.registry.edition import Edition, Kept, order_of, read_edition, release_of
from worker.connectors.registry.fitting import misfits
from worker.connectors.registry.keeping import edition_of, manifest_of
from worker.connectors.registry.places import Place, Problem, places
from worker.connectors.registry.stamps import Stamp, stamps
from worker.errors import InvalidInput, NotFound
from worker.parsing.documents import suggest

log = structlog.get_logger()


class Shelf(Protocol):
    """Where versions are kept that connections are pinned to."""

    def version(self, system: str, version: str) -> Mapping[str, Any] | None:
        """What `Kept` has of it, if it is kept."""
        ...

    def latest(self, system: str) -> Mapping[str, Any] | None:
        """The same of the one that was seen last."""
        ...


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a connection is pinned to, as far as that can be told."""

    version: str
    manifest: Manifest | None = None
    """None: nobody can read it any more."""
    edition: Edition | None = None
    """None: it can be compared, and not used."""


class Registry:
    """The systems of one process. Safe to share between threads; what is handed out never changes."""

    def __init__(
        self,
        connectors: Mapping[str, Connector],
        problems: Sequence[Problem] = (),
        *,
        found: Sequence[Place] = (),
        shelf: Shelf | None = None,
    ) -> None:
        self._given = dict(connectors)
        self._elsewhere = list(problems)
        self._places = list(found)
        self._shelf = shelf
        self._read: dict[Path, Edition | InvalidInput] = {}
        self._stamps: dict[Path, Stamp] = {}
        self._good: dict[str, Edition] = {}
        self._broken: dict[str, InvalidInput] = {}
        self._problems: list[Problem] = []
        self._seen: dict[tuple[str, str], Edition] = {}
        self._misfits: dict[tuple[str, str], Problem] = {}
        self._resolved: dict[tuple[str, str | None], Connector] = {}
        self._looking = threading.Lock()
        self._read_all()

    @classmethod
    def load(cls, user_dirs: Sequence[Path] = (), *, shelf: Shelf | None = None) -> "Registry":
        """The catalogue, what these folders hold, and what installed packages bring."""
        found, problems = places(user_dirs)
        return cls({}, problems, found=found, shelf=shelf)

    def get(self, system: str, version: str | None = None) -> Connector:
        """The connector of that system in that version, or in the one that a new connection gets.

        `NotFound` with the nearest name, or `InvalidInput` with the place of what is wrong in its manifest.
        """
        known = self._resolved.get((system, version))
        return known if known is not None else self._resolve(system, version)

    def edition(self, system: str, version: str | None = None) -> Edition:
        """The version itself that `get` would use."""
        current = self._good.get(system)
        if current is None:
            current = self._last_good(system, version)
        if current is None and version is None:
            raise self._missing(system)
        if version is None or (current is not None and current.version == version):
            assert current is not None  # noqa: S101 - it was looked for
            return current
        if current is not None and not current.fixed and current.release == release_of(version):
            return self._follow(current, version)
        if (pinned := self._pinned(system, version)) is None:
            raise self._gone(system, version, current)
        return pinned

    def pinned(self, system: str, version: str | None) -> Pinned:
        """What a connection is read by, also where it can't be used here any more."""
        try:
            edition = self.edition(system, version)
            return Pinned(edition.version, edition.connector.manifest, edition)
        except InvalidInput:
            kept = None if version is None else self._kept(system, version)
        try:
            return Pinned(version or "", None if kept is None else manifest_of(kept))
        except InvalidInput:
            return Pinned(version or "")

    def exact(self, system: str, version: str) -> Edition:
        """That version and no other; of several under one release, the one that is in the files now."""
        current = self._good.get(system)
        if current is not None and version in {current.version, current.release}:
            return current
        if (pinned := self._pinned(system, version)) is None:
            raise self._gone(system, version, current)
        return pinned

    def connectors(self) -> list[Connector]:
        """All that a new connection can be made to, in the order of their names."""
        return [self.get(system) for system in self.systems()]

    def editions(self) -> list[Edition]:
        """The same, as the versions that they are in."""
        return [self._good[system] for system in sorted(self._good)]

    def systems(self) -> list[str]:
        return sorted({*self._good, *self._given})

    def named(self) -> list[str]:
        """All of which something is here, and be it a manifest that can't be taken: their runs must be told so."""
        return sorted({*self._good, *self._given, *self._broken})

    def problems(self) -> list[Problem]:
        """Manifests that could not be taken, and why; and those that connections can't follow."""
        return [*self._elsewhere, *self._problems, *self._misfits.values()]

    @property
    def watched(self) -> bool:
        """There are folders that people edit."""
        return any(place.watched for place in self._places)

    def look(self) -> list[str]:
        """Read anew what changed in folders that people edit; the systems that are others now. Cheap where nothing did.

        A run that is under way goes on with what it began with. Emits: systems_changed, manifest_refused.
        """
        if not self._looking.acquire(blocking=False):
            return []  # another thread looks
        try:
            watched = [place for place in self._places if place.watched]
            now = stamps(watched)
            if now == self._stamps:
                return []
            changed = {folder for folder, _ in now.items() ^ self._stamps.items()}
            self._stamps = now
            for folder in changed:
                self._read.pop(folder, None)
                if folder in now:
                    self._read[folder] = _read(folder, fixed=False)
            if others := self._take_over():
                versions = {one: self._good[one].version for one in others if one in self._good}
                log.info("systems_changed", systems=versions)
            return others
        finally:
            self._looking.release()

    def _read_all(self) -> None:
        for place in self._places:
            for folder in place.systems():
                if folder not in self._read:
                    self._read[folder] = _read(folder, fixed=place.fixed)
        self._stamps = stamps([place for place in self._places if place.watched])
        self._take_over()

    def _take_over(self) -> list[str]:
        """Make what was read what is served, each system at a stroke."""
        good: dict[str, Edition] = {}
        broken: dict[str, InvalidInput] = {}
        problems: list[Problem] = []
        for folder in self._in_order():
            match self._read[folder]:
                case Edition() as edition if edition.system in good or edition.system in self._given:
                    problems.append((folder, _double(edition.system, folder)))
                case Edition() as edition:
                    good[edition.system] = edition
                case InvalidInput() as error:
                    problems.append((folder / "manifest.yaml", error))
                    broken.setdefault(folder.name, error)
        for system, error in broken.items():
            if system not in good and system in self._good:
                good[system] = self._good[system]  # the last that was good goes on
                log.warning("manifest_refused", system=system, error=str(error), version=good[system].version)
        changed = [
            system
            for system in sorted({*good, *self._good})
            if good.get(system) is not self._good.get(system)
        ]
        news = {(each.system, each.version): each for each in good.values()}
        self._seen = {**self._seen, **news}
        self._good, self._broken, self._problems = good, broken, problems
        self._misfits = {key: told for key, told in self._misfits.items() if key[0] not in changed}
        self._resolved = {key: one for key, one in self._resolved.items() if key[0] not in changed}
        return changed

    def _in_order(self) -> Iterable[Path]:
        """As the places name them: the catalogue first. A folder that is new since they were listed comes with its place."""
        return [
            folder
            for place in self._places
            for folder in sorted(self._read)
            if place.folder in {folder, folder.parent}
        ]

    def _resolve(self, system: str, version: str | None) -> Connector:
        if (given := self._given.get(system)) is not None:
            return given
        connector = self.edition(system, version).connector
        self._resolved = {**self._resolved, (system, version): connector}
        return connector

    def _pinned(self, system: str, version: str) -> Edition | None:
        """That version, if this process has seen it or it is kept."""
        known = self._seen.get((system, version))
        if known is None and (kept := self._kept(system, version)) is not None:
            known = self._remember(kept)
        return known

    def _kept(self, system: str, version: str) -> Kept | None:
        row = None if self._shelf is None else self._shelf.version(system, version)
        return None if row is None else Kept(**row)

    def _last_good(self, system: str, version: str | None) -> Edition | None:
        """Of a system whose file is broken or gone: what its connections were pinned to last."""
        if version is not None or system not in self._broken or self._shelf is None:
            return None
        row = self._shelf.latest(system)
        return None if row is None else self._remember(Kept(**row))

    def _remember(self, kept: Kept) -> Edition:
        edition = edition_of(kept)
        self._seen = {**self._seen, (kept.system, kept.version): edition}
        return edition

    def _follow(self, current: Edition, version: str) -> Edition:
        """What a connection uses whose folder changed under the same release."""
        key = current.system, version
        known = self._seen.get(key)
        kept = self._kept(*key) if known is None else known.kept
        if kept is None or not (streams := misfits(manifest_of(kept), current.connector.manifest)):
            return current
        if key not in self._misfits:
            self._misfits = {**self._misfits, key: _unfit(version, current, streams)}
        return known or self._remember(kept)

    def _missing(self, system: str) -> InvalidInput:
        if (error := self._broken.get(system)) is not None:
            return InvalidInput(
                "broken_system",
                f"The manifest of {system} can't be taken: {error.message}",
                place=error.place,
                hint="Mend the manifest: until then no connection to this system is synced. All others go on.",
            )
        known = self.systems()
        return NotFound("unknown_system", f"There is no system {system!r}.", hint=suggest(system, known))

    def _gone(self, system: str, version: str, current: Edition | None) -> InvalidInput:
        if current is None and system not in {each for each, _ in self._seen}:
            error = self._missing(system)
            if error.code == "broken_system":
                return error
        here = f"Here is {current.version}. " if current is not None else ""
        return NotFound(
            "unknown_version",
            f"Version {version} of {system} isn't here, and it isn't among those that are kept.",
            hint=f"{here}Upgrade its connections (`headrace connectors upgrade --system {system}`), or bring its folder back.",
        )


def newest(editions: Iterable[str]) -> list[str]:
    """Versions from the newest to the oldest."""
    return sorted(editions, key=order_of, reverse=True)


def _read(folder: Path, *, fixed: bool) -> Edition | InvalidInput:
    try:
        return read_edition(folder, fixed=fixed)
    except InvalidInput as exc:
        if fixed:
            raise
        return exc
    except Exception as exc:  # noqa: BLE001 - a fault of ours in reading one manifest must not end the others
        words = f"The manifest can't be read: {type(exc).__name__}."
        return InvalidInput("broken_manifest", words, place=str(folder / "manifest.yaml"))


def _double(system: str, folder: Path) -> InvalidInput:
    words = f"There is a system {system!r} already."
    return InvalidInput(
        "double_system", words, place=str(folder / "manifest.yaml"), hint="Give yours another name."
    )


def _unfit(pinned: str, current: Edition, streams: Sequence[str]) -> Problem:
    names = ", ".join(streams)
    words = (
        f"The key or the cursor of {names} is another than in {pinned}, under the same version. "
        f"Connections that are pinned to {pinned} go on with that."
    )
    hint = f"Raise the manifest's version, and look at `headrace connectors upgrade --system {current.system} --dry-run`."
    return Path(current.system), InvalidInput("unfit_manifest", words, place=current.system, hint=hint)
