"""How is a time written whose form a manifest spells out? `%d.%m.%Y %H:%M:%S`, in the signs of C and Python. Pure.

    format: "%Y%m%d"                20260131, also as a number
    format: "%m/%d/%Y %I:%M %p"     01/31/2026 08:00 PM

What holds nothing but 0 says nothing, as systems write where there is no time yet.
"""

import re
from datetime import datetime
from typing import Any

_SIGNS = re.compile(r"%(.?)")
KNOWN = frozenset("YymdHIpMSfzjbB%")
_NEEDED = ("Yy", "mjbB")
"""A moment has a year, and a month or the day of the year."""
_NOTHING = re.compile(r"[0\s./:T-]*")


def is_spelled(form: str) -> bool:
    """Whether it is no name of a form."""
    return "%" in form


def what_is_wrong(form: str) -> str | None:
    """Why nobody could read or write times so; None: it can be done."""
    signs = _SIGNS.findall(form)
    if unknown := [sign for sign in signs if sign not in KNOWN]:
        known = " ".join(f"%{sign}" for sign in "YymdjHIpMSfzbB")
        return f"%{unknown[0]} is no sign of a time. There are {known}."
    if not all(set(some) & set(signs) for some in _NEEDED) or not {"d", "j"} & set(signs):
        return "a moment has a year, a month and a day, such as %Y-%m-%d."
    if "I" in signs and "p" not in signs:
        return "hours to twelve (%I) go with %p, which says the half of the day."
    return None


def precision_spelled(form: str) -> str:
    """The unit to which it says times."""
    return next((unit for sign, unit in (("%f", "us"), ("%S", "s"), ("%M", "m")) if sign in form), "d")


def read_spelled(value: Any, form: str) -> datetime | None:
    """What is written; without a zone unless it says one. ValueError for what isn't written so."""
    text = str(value)
    if _NOTHING.fullmatch(text):
        return None
    return datetime.strptime(text, form)  # noqa: DTZ007 - whose clock it shows is the manifest's to say


def write_spelled(local: datetime, form: str) -> str:
    """The time as it is asked for; years before 1000 have four digits, too."""
    return local.strftime(form.replace("%Y", f"{local.year:04}"))
