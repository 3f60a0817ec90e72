"""Which double plays a system? The class of a file `double.py` beside its manifest."""

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path

from scheduler.connectors.check.double.any_double import AnyDouble
from worker.errors import InvalidInput

FILE = "double.py"


def find_double(folder: Path) -> type[AnyDouble] | None:
    """The double beside the manifest in this folder; None: there is none. It is code, and it is run."""
    path = folder / FILE
    if not path.is_file():
        return None
    name = f"headrace_double_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # noqa: S101 - it is a file of Python
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        message = f"The double can't be loaded: {type(exc).__name__}: {exc}."
        raise InvalidInput("bad_double", message, place=f"{path}:{_line(exc, path)}") from exc
    own = [each for _, each in inspect.getmembers(module, inspect.isclass) if each.__module__ == name]
    doubles = [each for each in own if issubclass(each, AnyDouble)]
    if len(doubles) != 1:
        message = f"It must hold one class that is a Double, and holds {len(doubles)}."
        raise InvalidInput("bad_double", message, place=str(path))
    return doubles[0]


def _line(exc: Exception, path: Path) -> int:
    """Where in the file it went wrong."""
    if isinstance(exc, SyntaxError):
        return exc.lineno or 1
    frames = traceback.extract_tb(exc.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == str(path)), 1)
