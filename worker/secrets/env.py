"""Secrets in environment variables of the worker: `env://NAME`."""

import os
import re

from worker.errors import NeedsOperator

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def fault(name: str) -> str | None:
    """What is wrong with the name, in words that don't repeat it."""
    return None if _NAME.fullmatch(name) else "doesn't name an environment variable after env://"


def read(name: str) -> str:
    """The variable's value. An empty one is a mistake in whatever sets it, so it counts as missing."""
    value = os.environ.get(name, "")
    if not value:
        state = "is empty" if name in os.environ else "is not set"
        raise NeedsOperator(
            "secret_unresolved",
            f"env://{name} can't be opened: the environment variable {state} in this worker.",
            hint=f"Set {name} where the worker is started, and start it again.",
        )
    return value
