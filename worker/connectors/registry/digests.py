"""Does what came with a release of Headrace still say under its versions what it said? Their digests, beside the catalogue.

A version is fixed from the release on that brings it: `make digests` notes them all then. One that is noted and says
something else now is refused: a connection that is pinned to it would read by another manifest without anybody having
upgraded it. So the manifest's `version` is raised first.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from worker.connectors.registry.places import CATALOG
from worker.connectors.registry.registry import Registry

NOTED = CATALOG / "digests.json"

Digests = Mapping[str, Mapping[str, str]]
"""By system and version."""


def noted(path: Path = NOTED) -> Digests:
    """Of all that was released."""
    found: Digests = json.loads(path.read_text(encoding="utf-8"))
    return found


def current() -> dict[str, dict[str, str]]:
    """Of the catalogue as it is."""
    editions = [each for each in Registry.load().editions() if each.fixed]
    return {each.system: {each.version: each.kept.digest} for each in editions}


def changed_in_place(before: Digests, now: Digests) -> list[str]:
    """Versions that say something else than when they were released: `tryton 1.0.0`."""
    return [
        f"{system} {version}"
        for system, versions in now.items()
        for version, digest in versions.items()
        if before.get(system, {}).get(version, digest) != digest
    ]


def together(before: Digests, now: Digests) -> dict[str, dict[str, str]]:
    """What is noted after a release: what was, and what it brings."""
    return {name: {**before.get(name, {}), **now.get(name, {})} for name in sorted({*before, *now})}


def main() -> int:
    """Note the catalogue as it is; 1 where a version changed in place."""
    before, now = noted(), current()
    if wrong := changed_in_place(before, now):
        sys.stderr.write(f"Raise the version in the manifest of {', '.join(wrong)}.\n")
        return 1
    NOTED.write_text(json.dumps(together(before, now), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
