"""Which columns has a table? Those it had, in their places, and behind them what is declared or was seen since.

Pure. A column never moves and never changes its type by what is seen; only a manifest may declare another.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from worker.connectors.manifest.views.tables import TableTraits
from worker.views.sql.kinds import kind_of, without_false
from worker.views.sql.names import column_name

Path = tuple[str, ...]
Seen = Mapping[Path, Collection[str]]
"""Types by path, in the order in which the fields were first seen; `*` stands for the entries of a list."""

ENTRY = "*"
MOST_COLUMNS = 800
"""A record whose keys are data (one for each date, say) must not make a table of thousands."""

RECORD_COLUMNS: Mapping[str, str] = {
    "_key": "r.key",
    "_synced_at": "r.observed_at",
    "_source_updated_at": "r.source_updated_at",
    "_deleted_at": "r.deleted_at",
    "_delete_reason": "r.delete_reason",
    "_version": "r.version",
}
LINE_COLUMNS: Mapping[str, str] = {
    "_parent_key": "r.key",
    "_line_no": "l.line_no",
    "_synced_at": "r.observed_at",
    "_deleted_at": "r.deleted_at",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and where its value stands."""

    name: str
    path: Path
    kind: str
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A table of a stream: of its records (path ()), or of the entries of a list in them."""

    path: Path
    columns: tuple[Column, ...]
    empty: tuple[str, ...] = ()
    """Texts that mean NULL in columns that aren't boolean."""

    def __repr__(self) -> str:
        """Of which stores are known to be filled by it: the same as ever where nothing means NULL."""
        empty = f", empty={self.empty!r}" if self.empty else ""
        return f"Relation(path={self.path!r}, columns={self.columns!r}{empty})"

    @property
    def system_columns(self) -> Mapping[str, str]:
        return LINE_COLUMNS if self.path else RECORD_COLUMNS


def relations(known: Mapping[Path, Sequence[Column]], table: TableTraits, seen: Seen) -> dict[Path, Relation]:
    """The tables of a stream: its own first, then one for each list of objects."""
    lists = [*known, *table.lines, *(path[:-2] for path in seen if _is_entry_field(path))]
    found: dict[Path, Relation] = {(): Relation((), grown(known.get((), ()), table, seen), table.empty)}
    nothing = TableTraits(empty=table.empty)
    for path in dict.fromkeys(path for path in lists if path):
        below = {each[len(path) + 1 :]: types for each, types in seen.items() if _is_in(each, path)}
        found[path] = Relation(path, grown(known.get(path, ()), nothing, below, lines=True), table.empty)
    return found


def _is_entry_field(path: Path) -> bool:
    return len(path) == 3 and path[1] == ENTRY


def _is_in(path: Path, around: Path) -> bool:
    return path[: len(around)] == around and path[len(around) : len(around) + 1] == (ENTRY,)


def grown(
    known: Sequence[Column], table: TableTraits, seen: Seen, *, lines: bool = False
) -> tuple[Column, ...]:
    """The columns as they were, and new ones behind them."""
    declared = {column.path: column for column in table.columns}
    columns = [
        replace(column, kind=declared[column.path].kind, declared=True) if column.path in declared else column
        for column in known
    ]
    taken = {*(LINE_COLUMNS if lines else RECORD_COLUMNS), *(column.name for column in columns)}
    paths = {column.path for column in columns}
    for column in _wanted(table, seen):
        if column.path in paths or len(columns) >= MOST_COLUMNS:
            continue
        name = column_name(column.name, taken)
        columns.append(replace(column, name=name))
        taken.add(name)
        paths.add(column.path)
    return tuple(columns)


def _wanted(table: TableTraits, seen: Seen) -> Iterable[Column]:
    for column in table.columns:
        yield Column(column.name, column.path, column.kind, declared=True)
    for path, types in seen.items():
        custom = next((around for around in table.custom_fields if path[:-1] == around), None)
        if not all(path) or "\0" in "".join(path) or (len(path) != 1 and custom is None) or path[-1] == ENTRY:
            continue
        kind = kind_of(path[-1], without_false(types) if "false" in table.empty else types)
        if kind is not None:
            yield Column(path[-1] if custom is None else f"cf_{path[-1]}", path, kind)
