"""What may the connections file say of how the copy is shown: `models`, over what the system's manifest says of them."""

from collections.abc import Mapping
from typing import Any

from worker.connectors.manifest.views.expressions import BadMapping
from worker.connectors.manifest.views.mapping import check_override
from worker.errors import InvalidInput


def parse_models(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """As it is, once it reads as a mapping. Raises `InvalidInput`."""
    try:
        check_override(given)
    except BadMapping as exc:
        place = ".".join(str(part) for part in exc.place)
        raise InvalidInput("bad_mapping", exc.message, place=place, hint=exc.hint) from None
    return given
