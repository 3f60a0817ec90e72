"""Secrets in environment variables of the worker: `env://NAME`. They are read only, and read anew at each use."""

import os
import re

from worker.secrets.stores.port import not_writable, unresolved

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_WORD = re.compile(r"[A-Z][A-Z0-9]{0,31}")


class EnvStore:
    """The environment of this process."""

    cached = False

    def canonical(self, name: str) -> str:
        if _NAME.fullmatch(name) is None:
            raise ValueError("doesn't name an environment variable after env://")
        return name

    def place(self, name: str) -> str:
        del name
        return "the environment"

    def read(self, name: str) -> str:
        """The variable's value. An empty one is a mistake in whatever sets it, so it counts as missing."""
        value = variable(name)
        if value is None:
            state = "is empty" if name in os.environ else "is not set"
            raise unresolved(
                f"env://{name}",
                f"the environment variable {state} here",
                f"Set {name} where the worker is started, and start it again.",
            )
        return value

    def writable(self, name: str) -> bool:
        del name
        return False

    def write(self, name: str, value: str) -> None:
        del value
        raise not_writable(f"env://{name}", "an environment belongs to whoever starts the worker")

    def compare_and_set(self, name: str, expected: str, value: str) -> bool:
        del expected
        self.write(name, value)
        return False

    def remove(self, name: str) -> None:
        self.write(name, "")


def endings(beginning: str) -> tuple[str, ...]:
    """What follows in the names of variables that begin so, where it is one word, and they say anything."""
    found = (name.removeprefix(beginning) for name in os.environ if name.startswith(beginning))
    return tuple(word for word in found if _WORD.fullmatch(word) and variable(beginning + word))


def called(name: str, place: str) -> str:
    """What a variable is called that says something of one place, where there are several: all end in its name."""
    return f"{name}_{place.upper()}" if place else name


def variable(name: str) -> str | None:
    """What the environment says, where it says anything: the stores' clients have names of their own there."""
    return os.environ.get(name) or None
