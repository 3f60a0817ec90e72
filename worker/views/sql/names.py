"""What is a view or a column called? Words that need no quotes in SQL, where a system's own names are anything.

Pure. Whoever chooses a name keeps it: it must not change when a second connection or field asks for the same.
"""

import re
import unicodedata
from collections.abc import Container
from hashlib import blake2b

MOST = 63
"""Bytes of a name in Postgres; it cuts longer ones without a word."""

RESERVED = frozenset(  # those that Postgres takes as a name of a column only in quotes; and those that each table has
    """all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
    full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
    localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
    returning right select session_user similar some symmetric system_user table tablesample then to trailing true union
    unique user using variadic verbose when where window with
    cmax cmin ctid tableoid xmax xmin""".split()  # noqa: SIM905 - a list would be a page
)

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ODD = re.compile(r"[^a-z0-9]+")
_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "æ": "ae", "œ": "oe"}
)


def slug(text: str) -> str:
    """`Plant Nörd #1` -> `plant_nord_1`, `createdAt` -> `created_at`; empty where nothing is left."""
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS)).encode("ascii", "ignore").decode()
    return _ODD.sub("_", _HUMP.sub("_", plain).lower()).strip("_")


def column_name(text: str, taken: Container[str], *, fallback: str = "field") -> str:
    """A column's name for a field: `order` -> `order_`, a second `Name` -> `name_2`. A leading _ is kept."""
    name = ("_" if text.startswith("_") else "") + (slug(text) or fallback)
    if name[0].isdigit():
        name = f"_{name}"
    return unused(f"{name}_" if name in RESERVED else name, taken)


def prefix_of(connection: str, number: int, *, test: bool) -> str:
    """How the views of a connection begin."""
    name = shortened(slug(connection) or f"connection_{number}", 28)
    if name[0].isdigit():
        name = f"c_{name}"
    return f"test_{name}" if test else name


def view_name(prefix: str, *parts: str) -> str:
    """`plant_north__work_orders__lines`"""
    return shortened("__".join([prefix, *(slug(part) or "x" for part in parts)]), MOST)


def unused(name: str, taken: Container[str]) -> str:
    """The name, or the first of name_2, name_3, … that nobody has."""
    name = shortened(name, MOST)
    found, number = name, 2
    while found in taken:
        end = f"_{number}"
        found, number = f"{name[: MOST - len(end)]}{end}", number + 1
    return found


def shortened(name: str, most: int) -> str:
    """At most so long; what was cut off stays told apart by a digest of the whole."""
    if len(name) <= most:
        return name
    return f"{name[: most - 7]}_{blake2b(name.encode(), digest_size=3).hexdigest()}"
