"""Can this class be a double? What it lacks, and what is misspelt in it, is told before it plays anything.

A method that is called almost like one of a double's would go unnoticed: nothing calls it.
"""

import difflib
import inspect
from collections.abc import Collection, Iterator
from dataclasses import fields
from pathlib import Path

from scheduler.connectors.check.double.any_double import AnyDouble
from scheduler.connectors.check.double.base import Double
from scheduler.connectors.check.double.carried import Carried
from scheduler.connectors.check.double.faults import OURS
from worker.connectors.contract import Connector
from worker.errors import InvalidInput
from worker.parsing.wording import listed, suggest

ALIKE = 0.82
"""How alike two names are of which one was meant to be the other."""
MUST: tuple[tuple[type[AnyDouble], tuple[str, ...]], ...] = (
    (Double, ("answer",)),
    (Carried, ("transport", "settings", "carrier", "settle")),
)


def vet(double: type[AnyDouble], streams: Collection[str]) -> None:
    """`InvalidInput` with file and line where it can't play these streams."""
    for name in _lacking(double):
        raise _bad(f"A double says its {name}, and {double.__name__} doesn't.", _place(double))
    for kind, name, meant in misspelt(double):
        raise _bad(
            f"Nothing asks a double for {name!r}. Did you mean {meant!r}?",
            _place(kind, name),
            "Begin the names of what is yours alone with _.",
        )
    if without := [name for name in streams if name not in double.tables]:
        raise _bad(
            f"It has no table for {listed(without, 'and')}: `tables` holds one for each stream.",
            _place(double, "tables"),
            suggest(without[0], double.tables) or None,
        )
    for name, table in double.tables.items():
        if table.of and table.of not in double.tables:
            raise _bad(f"{name} stands in {table.of!r}, which is no table of it.", _place(double, "tables"))


def vet_connection(double: AnyDouble, connector: Connector) -> None:
    """`InvalidInput` where what it says of a connection to it isn't what the manifest asks for."""
    kind, settings = type(double), double.settings()
    try:
        connector.bind(settings)
    except InvalidInput as exc:
        raise _bad(
            f"Its settings() are not what the manifest asks for: {exc}", _place(kind, "settings")
        ) from None
    needed = [name for name, must in connector.secrets_of(settings).items() if must]
    if lacking := [name for name in needed if name not in double.secrets]:
        raise _bad(
            f"The manifest asks for {listed(lacking, 'and')}: `secrets` says what that is here.",
            _place(kind, "secrets"),
            suggest(lacking[0], double.secrets) or None,
        )


def misspelt(double: type[AnyDouble]) -> Iterator[tuple[type, str, str]]:
    """What was meant to be something of a double's: the class it stands in, its name, and the name that was meant."""
    base = _base(double)
    names = {*dir(base), *(each.name for each in fields(base)), "system", "tables", "transport"}
    known = {_plain(name): name for name in names if not name.startswith("_")}
    for kind in double.__mro__:
        if kind is object or kind.__module__.startswith(OURS):
            continue
        for name in vars(kind):
            if name.startswith("_") or known.get(_plain(name)) == name:
                continue
            near = difflib.get_close_matches(_plain(name), known, n=1, cutoff=ALIKE)
            if near:
                yield kind, name, known[near[0]]


def _lacking(double: type[AnyDouble]) -> Iterator[str]:
    needed = next((names for base, names in MUST if issubclass(double, base)), ())
    for name in ("system", "tables"):
        if not hasattr(double, name):
            yield f"`{name}`"
    for name in needed:
        if getattr(double, name, None) is getattr(_base(double), name, None):
            yield f"`{name}`"


def _base(double: type[AnyDouble]) -> type[AnyDouble]:
    """Of those here, the one that it is made of."""
    return next(each for each in double.__mro__ if each.__module__.startswith(OURS))


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _place(kind: type, name: str = "") -> str:
    """File and line of what stands in a class."""
    code = getattr(inspect.unwrap(vars(kind).get(name)) if name else None, "__code__", None)  # type: ignore[arg-type]
    if code is not None:
        return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    try:
        lines, first = inspect.getsourcelines(kind)
        file = inspect.getsourcefile(kind) or ""
    except (OSError, TypeError):
        return kind.__name__
    begins = (first + at for at, line in enumerate(lines) if name and line.strip().startswith(name))
    return f"{Path(file).name}:{next(begins, first)}"


def _bad(message: str, place: str, hint: str | None = None) -> InvalidInput:
    return InvalidInput("bad_double", message, place=place, hint=hint)
