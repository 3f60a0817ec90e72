"""Does what comes with Headrace still say under its versions what it said? The digests of them all, beside the catalogue.

`make digests` notes new versions. One that is noted already and says something else is refused: a connection that is
pinned to it would read by another manifest without anybody having upgraded it. So the manifest's `version` is raised first.
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
    """As they were noted last."""
    found: Digests = json.loads(path.read_text(encoding="utf-8"))
    return found


def current() -> dict[str, dict[str, str]]:
    """Of the catalogue as it is."""
    editions = [each for each in Registry.load().editions() if each.fixed]
    return {each.system: {each.version: each.kept.digest} for each in editions}


def changed_in_place(before: Digests, now: Digests) -> list[str]:
    """Versions that say something else than when they were noted: `tryton 1.0.0`."""
    return [
        f"{system} {version}"
        for system, versions in now.items()
        for version, digest in versions.items()
        if before.get(system, {}).get(version, digest) != digest
    ]


def not_noted(before: Digests, now: Digests) -> list[str]:
    """Versions that nobody has noted yet."""
    return [
        f"{system} {version}"
        for system, versions in now.items()
        for version in versions
        if version not in before.get(system, {})
    ]


def main() -> int:
    """Note all; 1 where a version changed in place, unless `--unreleased` says that nobody has it yet."""
    before, now = noted(), current()
    wrong = changed_in_place(before, now)
    if wrong and "--unreleased" not in sys.argv[1:]:
        sys.stderr.write(f"Raise the version in the manifest of {', '.join(wrong)}.\n")
        return 1
    whole = {name: {**before.get(name, {}), **now.get(name, {})} for name in sorted({*before, *now})}
    NOTED.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
