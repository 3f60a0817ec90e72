"""Does a system say "too many requests" by words of its own, in the body of any answer? As its manifest tells. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from worker.connectors.contract import Response
from worker.connectors.reading.fields import walk
from worker.connectors.reading.shape import FieldPath, field_path_of
from worker.errors import Throttled

LARGEST = 16 * 1024
"""Such words are short: a page of records is not searched for them."""


@dataclass(frozen=True, slots=True)
class ThrottledWords:
    """Where it says so, by which values, and where it says for how long."""

    path: FieldPath
    values: frozenset[str]
    wait: FieldPath | None = None
    unit: float = 1.0
    """Seconds in one unit of `wait`."""

    @classmethod
    def read(cls, found: Mapping[str, Any] | None) -> "ThrottledWords | None":
        """From the section of a manifest; None where there is none."""
        if found is None:
            return None
        wait = found.get("wait")
        return cls(
            path=field_path_of(found["path"]),
            values=frozenset(str(value) for value in found["values"]),
            wait=None if wait is None else field_path_of(wait),
            unit=0.001 if found.get("unit") == "ms" else 1.0,
        )

    def failure(self, response: Response) -> Throttled | None:
        """The failure that such an answer is, None if it isn't one."""
        if len(response.body) > LARGEST:
            return None
        try:
            data = msgspec.json.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        value = walk(data, self.path)
        if not isinstance(value, str | int) or str(value) not in self.values:
            return None
        wait = None if self.wait is None else walk(data, self.wait)
        seconds = wait * self.unit if isinstance(wait, int | float) and not isinstance(wait, bool) else None
        return Throttled(
            f"The system answered that it is asked too often ({str(value)[:40]})", seconds=seconds
        )
