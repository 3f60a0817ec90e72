"""How does a file become a hook? Loaded under a module name of its own, and refused with file and line if it can't be used.

The file is code: whoever may write into a folder of connectors decides what a worker does. Whatever it raises while it
is loaded is a problem of its system alone; what it does for ever, nobody can stop.
"""

import hashlib
import sys
import traceback
from dataclasses import dataclass
from inspect import isfunction
from pathlib import Path
from types import ModuleType, TracebackType

from worker.connectors.contract.hook import BaseHook
from worker.errors import InvalidInput
from worker.parsing.documents import Document, suggest

CLASS = "Hook"
MAX_BYTES = 256 * 1024
METHODS = tuple(name for name, value in vars(BaseHook).items() if isfunction(value) and name[0] != "_")


@dataclass(frozen=True, slots=True)
class LoadedHook:
    """The class, and the file that it is from."""

    kind: type[BaseHook]
    path: str

    @property
    def signs(self) -> bool:
        return self.kind.sign is not BaseHook.sign


def hook_beside(document: Document, folder: Path) -> LoadedHook:
    """The hook that a manifest names, from its folder."""
    name, system = document.data["hook"], document.data["system"]
    if not (folder / name).is_file():
        raise document.error(("hook",), "bad_value", f"There is no file {name} beside the manifest.")
    return load_hook(folder / name, system)


def load_hook(path: Path, system: str) -> LoadedHook:
    """The hook in a file; `InvalidInput` names the line."""
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as exc:
        words = f"The hook can't be read: {exc.strerror}."
        raise InvalidInput("bad_hook", words, place=str(path)) from None
    if len(source) > MAX_BYTES:
        words = f"The hook is larger than {MAX_BYTES // 1024} kB."
        raise InvalidInput("bad_hook", words, place=str(path))
    return LoadedHook(_checked(_module(source, str(path), system), str(path)), str(path))


def _module(source: bytes, path: str, system: str) -> ModuleType:
    """The module that the source makes, under a name that no other has: the same text is the same module."""
    name = f"headrace_hooks.{system}_{hashlib.sha256(source).hexdigest()[:12]}"
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module  # data classes look their module up
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - that is what a hook is
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - it is the code of a stranger
        del sys.modules[name]
        raise InvalidInput("bad_hook", _why(exc), place=f"{path}:{line_of(exc, path) or 1}") from None
    return module


def line_of(error: BaseException, path: str) -> int | None:
    """Where in the file it happened: the innermost line of it."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno
    return next((line for name, line in reversed(_frames(error.__traceback__)) if name == path), None)


def _frames(trace: TracebackType | None) -> list[tuple[str, int]]:
    return [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace)]


def _why(error: BaseException) -> str:
    """While a file is loaded, nothing secret is at hand: the error's own words are shown."""
    if isinstance(error, SyntaxError):
        return f"The hook is not valid Python: {error.msg}."
    return f"The hook can't be loaded: {type(error).__name__}: {error}"[:500]


def _checked(module: ModuleType, path: str) -> type[BaseHook]:
    found = getattr(module, CLASS, None)
    if not isinstance(found, type):
        raise InvalidInput("bad_hook", f"The file defines no class {CLASS}.", place=f"{path}:1", hint=_WRITE)
    if not issubclass(found, BaseHook):
        words = f"The class {CLASS} isn't a BaseHook."
        raise InvalidInput("bad_hook", words, place=f"{path}:{_first_line(found)}", hint=_WRITE)
    for name, value in vars(found).items():
        if isfunction(value) and name[0] != "_" and name not in METHODS:
            hint = suggest(name, METHODS)
            raise InvalidInput(
                "bad_hook",
                f"A hook has no method {name!r}; those of its own begin with _.",
                place=f"{path}:{value.__code__.co_firstlineno}",
                hint=hint,
            )
    return found


_WRITE = "Write: from worker.connectors.contract import BaseHook, and then class Hook(BaseHook)."


def _first_line(found: type) -> int:
    lines = [value.__code__.co_firstlineno for value in vars(found).values() if isfunction(value)]
    return min(lines, default=1)
