"""Whose fault is it? What a double's own code raises is told as that, with its place, and never as a broken promise."""

import traceback
from dataclasses import dataclass
from inspect import getsourcefile
from pathlib import Path
from types import FrameType

OURS = "scheduler.connectors.check."
REFUSALS = (ValueError,)
"""How a double says that its system can't read what came: its 400."""
DOUBTFUL = (KeyError, TypeError, AttributeError)
"""A request that lacks something, or a mistake of the double's: it counts where a promise seems broken by it."""


@dataclass(frozen=True)
class Fault:
    """One failure of a double's code."""

    method: str
    error: str
    """Its type and words."""
    place: str
    """File and line."""
    refuses: bool = False
    doubtful: bool = False

    @property
    def words(self) -> str:
        """For whoever wrote it."""
        return f"your double failed in {self.method}(): {self.error} ({self.place})"


def fault_of(exc: BaseException, double: type, method: str = "") -> Fault | None:
    """What went wrong in the double's own files; None: nothing of it did, unless `method` says where."""
    files = own_files(double)
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(exc.__traceback__)
        if frame.f_code.co_filename in files
    ]
    if not frames and not method:
        return None
    place = _place(*frames[-1]) if frames else _defined(double, method)
    return Fault(
        method or frames[0][0].f_code.co_name,
        f"{type(exc).__name__}: {exc}",
        place,
        refuses=isinstance(exc, REFUSALS),
        doubtful=isinstance(exc, DOUBTFUL),
    )


def own_files(double: type) -> set[str]:
    """The files of a double's author: where its class and those that it is made of stand."""
    classes = (each for each in double.__mro__ if each is not object and not _is_ours(each))
    return {found for each in classes if (found := getsourcefile(each)) is not None}


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith(OURS)


def _place(frame: FrameType, line: int) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{line}"


def _defined(double: type, method: str) -> str:
    """Where a method stands."""
    code = getattr(getattr(double, method, None), "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else double.__name__
