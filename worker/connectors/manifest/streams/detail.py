"""Where does a list say no more than which records there are? The manifest's `detail:`.

    detail: {concurrency: 4}              # each record is asked for by the stream's `single`
    detail: {key: ref.id}                 # where an entry of the list holds the key, if elsewhere than the record does

An entry that is a text or a number is the key itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worker.connectors.manifest.streams.single import Single
from worker.connectors.reading.shape import Shape, field_path_of

Complain = Callable[[Sequence[str], str], Exception]
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Detail:
    """How the records of a list come that holds only their keys."""

    entries: Shape
    """What an entry of the list looks like."""
    at_once: int = AT_ONCE


def read_detail(
    data: Mapping[str, Any], shape: Shape, single: Single | None, complain: Complain
) -> Detail | None:
    """What a stream says of it; the schema has been checked already."""
    if "detail" not in data:
        return None
    if single is None:
        raise complain(("detail",), "each record is asked for by its key, so the stream needs `single`.")
    found = data["detail"]
    if "key" in found and len(shape.key) > 1:
        message = f"detail.key is one field, and {len(shape.key)} make the key: leave it out where the list has them as records do."
        raise complain(("detail", "key"), message)
    entries = replace(
        shape,
        key=(field_path_of(found["key"]),) if "key" in found else shape.key,
        cursor=shape.cursor if data.get("incremental", {}).get("descending") else None,
        version=None,
        updated_at=None,
        deleted=None,
        needs_cursor=False,
        rows=True,
    )
    return Detail(entries, found.get("concurrency", AT_ONCE))


def in_list(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stream as its list is read: the key stands where the list has it."""
    key = data.get("detail", {}).get("key")
    return data if key is None else {**data, "key": key}
