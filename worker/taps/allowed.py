"""May this tap run here? Only the installation says so, by `HEADRACE_TAPS`: a connection that names what is run is code.

An entry is a requirement as pip takes it (`tap-csv==1.4.0`), the absolute path of a program, or that of a folder of
programs, which ends with a slash. A connection names an entry as it stands there, or a requirement's name alone, which
takes the version that is allowed. Pure but for looking where a link leads.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.errors import NeedsOperator
from worker.parsing.documents import suggest

_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?=$|[\[=<>!~@;])")
_PINNED = re.compile(r"===?[^*,]+$|@.+[0-9a-f]{7,}")


@dataclass(frozen=True, slots=True)
class Allowed:
    """A tap that may run: a requirement to install, or a program that is there."""

    requirement: str = ""
    program: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in logs and errors."""
        return name_of(self.requirement) if self.program is None else self.program.name

    @property
    def is_pinned(self) -> bool:
        """Tomorrow it is the same."""
        return self.program is not None or bool(_PINNED.search(self.requirement))


def allowed_tap(wanted: str, entries: Sequence[str]) -> Allowed:
    """The tap, or `NeedsOperator` that says what to set."""
    if wanted.startswith("/"):
        return _program(wanted, entries)
    if wanted in entries:
        return Allowed(wanted)
    same = [entry for entry in entries if not entry.startswith("/") and name_of(entry) == _plain(wanted)]
    if len(same) == 1:
        return Allowed(same[0])
    raise _refused(wanted, entries)


def name_of(requirement: str) -> str:
    """A requirement's name in the form in which names are compared."""
    found = _NAME.match(requirement)
    return _plain(found[0]) if found else requirement


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _program(wanted: str, entries: Sequence[str]) -> Allowed:
    real = os.path.realpath(wanted)
    for entry in entries:
        is_below = entry.endswith("/") and real.startswith(os.path.realpath(entry) + "/")
        if entry.startswith("/") and (is_below or (wanted == entry and not entry.endswith("/"))):
            return Allowed(program=Path(wanted))
    raise _refused(wanted, entries)


def _refused(wanted: str, entries: Sequence[str]) -> NeedsOperator:
    if not entries:
        message = f"This installation runs no taps, and the connection asks for {wanted!r}."
    else:
        message = f"This installation doesn't allow the tap {wanted!r}. {suggest(wanted, entries)}".rstrip()
    hint = (
        f"Whoever runs the workers allows it: HEADRACE_TAPS={wanted} (several are separated by spaces). "
        "A tap is a program that runs with the worker's rights."
    )
    return NeedsOperator("tap_not_allowed", message, hint=hint)
