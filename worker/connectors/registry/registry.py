"""Which systems are there, and which version of one does a connection use?

A broken manifest never takes a process down: its system is told among `problems`, and connections to it go on with the
last version that was good, where one is known. Where none is, their runs end with the file and the line of what is wrong.

A connection is pinned to a version. One that comes with Headrace, or whose file is there no more, is found among those
that are kept. A developer's folder is followed as long as the release stays the same and what is kept of the streams
still fits; where it doesn't, the pinned version goes on until somebody upgrades the connection.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from worker.connectors.contract import Connector
from worker.connectors.manifest.model import Manifest
from worker.connectors.registry.edition import Edition, Kept, order_of, release_of
from worker.connectors.registry.files import Files, State
from worker.connectors.registry.fitting import misfits
from worker.connectors.registry.keeping import edition_of, manifest_of
from worker.connectors.registry.places import Place, Problem, places
from worker.errors import InvalidInput, NotFound
from worker.parsing.documents import suggest


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
        """`connectors` are given by name, without versions; `found` are places with folders."""
        self._given = dict(connectors)
        self._elsewhere = list(problems)
        self._shelf = shelf
        self._files = Files(found, list(self._given))
        self._seen: dict[tuple[str, str], Edition] = {}
        self._note_seen()

    @classmethod
    def load(cls, user_dirs: Sequence[Path] = (), *, shelf: Shelf | None = None) -> "Registry":
        """The catalogue, what these folders hold, and what installed packages bring."""
        found, problems = places(user_dirs)
        return cls({}, problems, found=found, shelf=shelf)

    def get(self, system: str, version: str | None = None) -> Connector:
        """The connector of that system in that version, or in the one that a new connection gets.

        `NotFound` with the nearest name, or `InvalidInput` with the place of what is wrong in its manifest.
        """
        state = self._files.state
        known = state.resolved.get((system, version))
        if known is None:
            given = self._given.get(system)
            known = self._edition(state, system, version).connector if given is None else given
            state.resolved[system, version] = known
        return known

    def edition(self, system: str, version: str | None = None) -> Edition:
        """The version itself that `get` would use."""
        return self._edition(self._files.state, system, version)

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
        state = self._files.state
        current = state.good.get(system)
        if current is not None and version in {current.version, current.release}:
            return current
        if (pinned := self._pinned(system, version)) is None:
            raise self._gone(state, system, version)
        return pinned

    def connectors(self) -> list[Connector]:
        """All that a new connection can be made to, in the order of their names."""
        return [self.get(system) for system in self.systems()]

    def editions(self) -> list[Edition]:
        """The same, as the versions that they are in."""
        good = self._files.state.good
        return [good[system] for system in sorted(good)]

    def systems(self) -> list[str]:
        return sorted({*self._files.state.good, *self._given})

    def named(self) -> list[str]:
        """All of which something is here, and be it a manifest that can't be taken: their runs must be told so."""
        return sorted({*self.systems(), *self._files.state.broken})

    def problems(self) -> list[Problem]:
        """Manifests that could not be taken, and why; and those that connections can't follow."""
        state = self._files.state
        return [*self._elsewhere, *state.problems, *state.misfits.values()]

    @property
    def watched(self) -> bool:
        """There are folders that people edit."""
        return self._files.watched

    def look(self) -> list[str]:
        """Read anew what changed in folders that people edit; the systems that are others now. Cheap where nothing did.

        A run that is under way goes on with what it began with.
        """
        changed = self._files.look()
        self._note_seen()
        return changed

    def _note_seen(self) -> None:
        for edition in self._files.state.good.values():
            self._seen[edition.system, edition.version] = edition

    def _edition(self, state: State, system: str, version: str | None) -> Edition:
        current = state.good.get(system)
        if version is None:
            found = current if current is not None else self._last_good(state, system)
            if found is None:
                raise self._missing(state, system)
            return found
        if current is not None and current.version == version:
            return current
        if current is not None and not current.fixed and current.release == release_of(version):
            return self._follow(state, current, version)
        if (pinned := self._pinned(system, version)) is None:
            raise self._gone(state, system, version)
        return pinned

    def _pinned(self, system: str, version: str) -> Edition | None:
        """That version, if this process has seen it or it is kept."""
        known = self._seen.get((system, version))
        if known is None and (kept := self._kept(system, version)) is not None:
            known = self._remember(kept)
        return known

    def _kept(self, system: str, version: str) -> Kept | None:
        row = None if self._shelf is None else self._shelf.version(system, version)
        return None if row is None else Kept(**row)

    def _last_good(self, state: State, system: str) -> Edition | None:
        """Of a system whose file is broken since before we started: what its connections were pinned to last."""
        row = self._shelf.latest(system) if system in state.broken and self._shelf is not None else None
        return None if row is None else self._remember(Kept(**row))

    def _remember(self, kept: Kept) -> Edition:
        edition = edition_of(kept)
        self._seen[kept.system, kept.version] = edition
        return edition

    def _follow(self, state: State, current: Edition, version: str) -> Edition:
        """What a connection uses whose folder changed under the same release."""
        key = current.system, version
        known = self._seen.get(key)
        kept = self._kept(*key) if known is None else known.kept
        if kept is None or not (streams := misfits(manifest_of(kept), current.connector.manifest)):
            return current
        state.misfits.setdefault(key, _unfit(version, current, streams))
        return known or self._remember(kept)

    def _missing(self, state: State, system: str) -> InvalidInput:
        if (error := state.broken.get(system)) is not None:
            return InvalidInput(
                "broken_system",
                f"The manifest of {system} can't be taken: {error.message}",
                place=error.place,
                hint="Mend the manifest: until then no connection to this system is synced. All others go on.",
            )
        known = self.systems()
        return NotFound("unknown_system", f"There is no system {system!r}.", hint=suggest(system, known))

    def _gone(self, state: State, system: str, version: str) -> InvalidInput:
        current = state.good.get(system)
        if current is None and system in state.broken:
            return self._missing(state, system)
        if current is None and all(name != system for name, _ in [*self._seen]):
            return self._missing(state, system)
        here = f"Here is {current.version}. " if current is not None else ""
        return NotFound(
            "unknown_version",
            f"Version {version} of {system} isn't here, and it isn't among those that are kept.",
            hint=f"{here}Upgrade its connections (`headrace connectors upgrade --system {system}`), or bring its folder back.",
        )


def newest(editions: Iterable[str]) -> list[str]:
    """Versions from the newest to the oldest."""
    return sorted(editions, key=order_of, reverse=True)


def _unfit(pinned: str, current: Edition, streams: Sequence[str]) -> Problem:
    names = ", ".join(streams)
    words = (
        f"The key or the cursor of {names} is another than in {pinned}, under the same version. "
        f"Connections that are pinned to {pinned} go on with that."
    )
    hint = f"Raise the manifest's version, and look at `headrace connectors upgrade --system {current.system} --dry-run`."
    return Path(current.system), InvalidInput("unfit_manifest", words, place=current.system, hint=hint)
