"""Which values mean that there is nothing? `false` where a text belongs, or a date long before anybody kept records.

A manifest names them (`empty: [false, "1900-01-01T12:00:00Z"]`). They are null in the times and versions that the engine
reads; a mark of a delete means what it says.
"""

from collections.abc import Callable, Sequence
from typing import Any

from worker.connectors.reading.shape import FieldPath, Shape

Column = Callable[[FieldPath], list[Any]]


class Empties:
    """Those of one stream."""

    def __init__(self, shape: Shape) -> None:
        self._values = frozenset((type(value), value) for value in shape.empty)
        times = [path for time in (shape.cursor, shape.updated_at) if time for path in time.paths]
        paths = {*times, *([shape.version] if shape.version else [])}
        self._paths = paths - ({shape.deleted.path} if shape.deleted else set())

    def in_order(self, order: Sequence[FieldPath], values: Sequence[Any]) -> list[Any]:
        """The values at these paths, with null for what means nothing."""
        return [
            self._of(value) if path in self._paths else value
            for path, value in zip(order, values, strict=True)
        ]

    def in_columns(self, column: Column) -> Column:
        """The same for whole columns."""
        return lambda path: list(map(self._of, column(path))) if path in self._paths else column(path)

    def _of(self, value: Any) -> Any:
        is_plain = isinstance(value, str | int | float)
        return None if is_plain and (type(value), value) in self._values else value
