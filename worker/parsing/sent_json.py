"""How is JSON that a system sent read, so that whatever stands in it stops nobody? Pure; for what is shown or searched.

Postgres keeps numbers of any length and range, and nests deeper than Python reads.
"""

import json
import math
from typing import Any

MOST_DIGITS = 4000
"""Python reads no longer ones."""


def read_sent(text: str | bytes) -> Any:
    """What a record or an entry of one says. A number that ours can't hold is a text, as it was sent; what is nested deeper
    than can be read is None.
    """
    try:
        return json.loads(text, parse_float=_float, parse_int=_int)
    except RecursionError:
        return None


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) <= MOST_DIGITS else digits
