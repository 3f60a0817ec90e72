"""Who is at the command line? As the machine knows it: variables say what anybody likes."""

import os
import pwd
from functools import cache
from pathlib import Path

_NOBODY = {"", "4294967295"}
"""How Linux says that nobody has logged in to where this process comes from."""


@cache
def person() -> dict[str, str]:
    """`user`, whose rights the process has, and `login`, who logged in, where that is another (by sudo, su)."""
    found = {"user": _name(os.getuid())}
    try:
        login = Path("/proc/self/loginuid").read_text().strip()
    except OSError:
        return found
    if login not in _NOBODY and login.isdecimal() and int(login) != os.getuid():
        found["login"] = _name(int(login))
    return found


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
