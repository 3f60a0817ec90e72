"""The type in which an opened secret is passed around. It won't print: whoever needs the text says so by `reveal`."""

import hmac
from typing import Any, NoReturn

from worker.telemetry.redaction import MASK


class Secret:
    """An opened value. Logs, errors, f-strings and dumps show a mask; pickles and copies into other forms are refused."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself: at the very edge, where it is sent, signed with or compared."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (each.reveal().encode("utf-8", "surrogatepass") for each in (self, other))
        return hmac.compare_digest(mine, theirs)

    __hash__ = None  # type: ignore[assignment] # a key of a mapping is printed, and kept

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is never pickled.")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, _memo: Any) -> "Secret":
        return self
