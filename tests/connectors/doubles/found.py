"""Which double plays a system of the catalogue? The class of the file that is called like it."""

import importlib
import inspect
from functools import lru_cache
from pathlib import Path

from scheduler.connectors.check import AnyDouble
from worker.connectors.registry.places import CATALOG

SYSTEMS = sorted(path.parent.name for path in CATALOG.glob("*/manifest.yaml"))


@lru_cache
def double_of(system: str) -> type[AnyDouble] | None:
    """None: nobody has written one."""
    if not Path(__file__).with_name(f"{system}.py").is_file():
        return None
    module = importlib.import_module(f"connectors.doubles.{system}")
    classes = [each for _, each in inspect.getmembers(module, inspect.isclass) if issubclass(each, AnyDouble)]
    (found,) = [each for each in classes if getattr(each, "system", None) == system]
    return found


PLAYED = [system for system in SYSTEMS if double_of(system) is not None]
