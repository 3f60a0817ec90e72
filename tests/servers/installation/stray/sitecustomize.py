"""What a system can do to a worker process at its worst, without a line of ours for it.

On the path of a worker (`PYTHONPATH`) Python imports this at its start. From then on whoever looks up a certain host name
has its process ended, or its thread stopped for ever: as by a library that crashes or never returns.
"""

import ctypes
import os
import sys
import threading
from typing import Any

NEVER = 600


def _dies() -> None:
    os._exit(9)


def _hangs() -> None:
    threading.Event().wait()


def _holds() -> None:
    """Never lets go of Python's lock: no other thread runs, either."""
    ctypes.PyDLL(None).sleep(NEVER)


WORST = {"dies.test": _dies, "hangs.test": _hangs, "holds.test": _holds}


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo" and (worst := WORST.get(str(arguments[0]))):
        worst()


sys.addaudithook(_look)
