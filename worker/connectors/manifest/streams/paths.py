"""Can all that a stream's manifest names be read out of one answer, and one record?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from worker.connectors.paging.paging import Paging
from worker.connectors.reading.shape import INDEXES, FieldPath, Shape, field_path_of, parted

Complain = Callable[[Sequence[str], str], Exception]
Named = tuple[str, FieldPath]
"""The key that names a path, and the path."""


def paths_of(value: str | Sequence[Any]) -> tuple[FieldPath, ...]:
    """One path, or several."""
    return (field_path_of(value),) if isinstance(value, str) else tuple(field_path_of(path) for path in value)


def records_of(
    said: str | Sequence[str] | Mapping[str, Any], complain: Complain
) -> tuple[FieldPath, FieldPath | None]:
    """Where records stand, and of rows that are lists, where the names of their columns do; None: they are objects."""
    if not isinstance(said, Mapping):
        return field_path_of(said), None
    columns = said["columns"]
    if columns in ("", False):
        raise complain(("records",), "columns says where their names stand, or true: in the first row.")
    return field_path_of(said["rows"]), () if columns is True else field_path_of(columns)


def check_paths(shape: Shape, paging: Paging, complain: Complain) -> None:
    """Raise what `complain` makes of the first path that can't be had beside the others."""
    head = parted(shape.records)[0]
    beside = [
        ("total", shape.total),
        ("paging", paging.pointer),
        ("paging", paging.more),
        ("incremental", shape.token),
        ("records", parted(shape.columns)[0] if shape.columns else None),
    ]
    told = [(key, path) for key, path in beside if path is not None]
    for key, path in told:
        if not path:
            raise complain((key,), f"{key} is a field of an answer, and no field is named.")
        if not head or path[: len(head)] == head:
            raise complain((key,), f"{key} can't be read from inside the list of records.")
    if shape.explode is not None and not parted(shape.explode.path)[0]:
        raise complain(("explode", "path"), "path says in which field of a parent its children are.")
    within = _of_a_record(shape)
    for key, path in within:
        if not path:
            raise complain((key,), f"{key} is a field of a record, and no field is named.")
    for paths in ([("records", head), *told], within):
        if (clash := _clash(paths)) is not None:
            key, path = clash
            words = (
                f"{key} leads with {'.'.join(path)!r} into a list where another path leads into an object."
            )
            raise complain((key,), words)


def _of_a_record(shape: Shape) -> list[Named]:
    named: list[Named] = [("key", path) for path in shape.key]
    for key, time in (("incremental", shape.cursor), ("updated_at", shape.updated_at)):
        named += [(key, path) for path in time.paths] if time else []
    named += [("version", shape.version)] if shape.version is not None else []
    return named + ([("deleted", shape.deleted.path)] if shape.deleted else [])


def _clash(named: Iterable[Named]) -> Named | None:
    """The first path that takes for a list what another takes for an object, or the other way round."""
    lists: dict[FieldPath, bool] = {}
    for key, path in named:
        for at, step in enumerate(path):
            if lists.setdefault(path[:at], step in INDEXES) != (step in INDEXES):
                return key, path
    return None
