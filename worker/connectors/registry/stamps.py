"""Has somebody edited a system's files? Told by their times and sizes, without reading them."""

from collections.abc import Sequence
from pathlib import Path

from worker.connectors.registry.edition import files_of
from worker.connectors.registry.places import Place

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time and size of each file."""


def stamps(places: Sequence[Place]) -> dict[Path, Stamp]:
    """Of every system's folder. A file that goes while it is looked at isn't there."""
    found: dict[Path, Stamp] = {}
    for place in places:
        for folder in place.systems():
            files = []
            for path in files_of(folder):
                try:
                    seen = path.stat()
                except OSError:
                    continue
                files.append((path.name, seen.st_mtime_ns, seen.st_size))
            if files:
                found[folder] = tuple(files)
    return found
