"""What is a stream called that was found at a system? By the system's own word, as far as it can be a name."""

import re
from collections.abc import Container

LONGEST = 63

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")


def stream_name(word: str, taken: Container[str] = ()) -> str:
    """`A_MaintenanceOrder` is called `a_maintenance_order`; a number follows where that is taken already."""
    text = _OTHER.sub("_", _CAMEL.sub("_", word).lower()).strip("_")
    text = text if text[:1].isalpha() else f"s_{text}".rstrip("_")
    name, number = text[:LONGEST], 1
    while name in taken:
        number += 1
        ending = f"_{number}"
        name = text[: LONGEST - len(ending)] + ending
    return name
