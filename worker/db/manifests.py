"""Where are the manifests kept that connections are pinned to? A pin outlives the file."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any

from psycopg.types.json import Jsonb

from worker.db.database import Database
from worker.db.queries import sql


class KeptManifests:
    """The table `manifests`. It is asked for what no file has, so rarely."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Database]]) -> None:
        self._opened = opened

    @classmethod
    def of(cls, database: Database) -> "KeptManifests":
        """In a process that has a database anyway."""
        return cls(lambda: nullcontext(database))

    @classmethod
    def at(cls, url: str) -> "KeptManifests":
        """Without one: it is opened for each question."""
        return cls(lambda: closing(Database(url, name="manifests", pool=1)))

    def version(self, system: str, version: str) -> Mapping[str, Any] | None:
        """A version with the texts of its files, if it is kept."""
        with self._opened() as database:
            return database.one(sql.kept_manifest, {"system": system, "version": version.replace("\0", "")})

    def latest(self, system: str) -> Mapping[str, Any] | None:
        """The one that was seen last."""
        with self._opened() as database:
            return database.one(sql.latest_manifest, {"system": system})


def manifest_row(system: str, version: str, digest: str, files: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of `keep_manifest`."""
    return {"system": system, "version": version, "digest": digest, "files": Jsonb(dict(files))}
