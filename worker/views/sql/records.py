"""How are values taken out of a record, in SQL? Its JSON is parsed once, for all of its fields.

Pure. `json_to_record` wants the names of the fields in advance; each is a column of `x`, as text or as JSON. A name that no
column can have (empty, or longer than Postgres allows) is looked up in the record instead.
"""

from dataclasses import dataclass, field

from worker.db.partitions import partition_of
from worker.views.sql.columns import Path
from worker.views.sql.kinds import KINDS
from worker.views.sql.names import MOST
from worker.views.sql.quoting import array, ident, literal


@dataclass(frozen=True, slots=True)
class Place:
    """Where the records of a stream are."""

    bucket: int
    stream: int

    @property
    def table(self) -> str:
        return f"public.{partition_of(self.bucket)}"

    @property
    def condition(self) -> str:
        return f"r.bucket = {int(self.bucket)} AND r.stream_id = {int(self.stream)}"


@dataclass
class Fields:
    """The fields that some SQL takes out of `source`, which is JSON; `source` of a record is checked before."""

    source: str = "headrace_fields(r.raw)"
    alias: str = "x"
    empty: tuple[str, ...] = ()
    """Texts that mean NULL where the kind isn't boolean."""
    _typed: dict[str, bool] = field(default_factory=dict)

    def note(self, path: Path, *, typed: bool) -> None:
        """A field will be asked for. All are noted before any is written, as text and JSON of one can't both be had."""
        head = path[0]
        if _is_name(head):
            self._typed[head] = self._typed.get(head, False) or typed or len(path) > 1

    def text(self, path: Path) -> str:
        """The value as text; an object or list as its JSON."""
        if not path:
            return f"{self.source} #>> '{{}}'"
        head, rest = path[0], path[1:]
        if not _is_name(head):
            return f"{self.source} #>> {array(path)}"
        if not self._typed[head]:
            return f"{self.alias}.{ident(head)}"
        return f"{self.alias}.{ident(head)} #>> {array(rest) if rest else literal('{}')}"

    def json(self, path: Path) -> str:
        """The value as JSON, and NULL where it means nothing."""
        head, rest = path[0], path[1:]
        if not _is_name(head):
            value = f"{self.source} #> {array(path)}"
        else:
            value = f"{self.alias}.{ident(head)}"
            value = f"{value} #> {array(rest)}" if rest else value
        if not self.empty:
            return value
        return f"(CASE WHEN {value} #>> '{{}}' = ANY ({array(self.empty)}) THEN NULL ELSE {value} END)"

    def told(self, path: Path) -> str:
        """The same, and NULL where it means nothing."""
        text = self.text(path)
        for each in self.empty:
            text = f"nullif({text}, {literal(each)})"
        return text

    def value(self, path: Path, kind: str) -> str:
        """The value, read as a kind."""
        how = KINDS[kind]
        if not how.typed:
            return how.read.format(f"({self.text(path) if how.sql == 'boolean' else self.told(path)})")
        return how.read.format(f"({self.json(path)})")

    def join(self) -> str:
        """What makes the fields: goes behind FROM."""
        if not self._typed:
            return ""
        columns = ", ".join(
            f"{ident(name)} {'json' if typed else 'text'}" for name, typed in self._typed.items()
        )
        return f"\n CROSS JOIN LATERAL json_to_record({self.source}) AS {self.alias} ({columns})"


def _is_name(name: str) -> bool:
    return 0 < len(name.encode()) <= MOST
