"""What of a batch has to be written? By key and hash alone, before anything is sent.

Where all that a stream holds was written by this run, nothing is looked up; where nearly all of a batch had changed, the next
isn't sifted, as it would be found changed, too. What is new goes straight in, unless another run is at the same keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import DictRow

from worker.engine.loading.batch import Batch
from worker.engine.loading.rows import Row, sift_arrays
from worker.runs.claim import Run

FEW = 48
FEW_BYTES = 256 * 1024
"""Up to so many records of so many bytes go in one statement, unsifted, unless one has to be set aside."""
FEW_CHANGED = 256
"""The same for what was sifted and changed: from there on a staging table is as cheap."""
MOSTLY = 0.9
"""Where so much of a batch had changed, the next is not sifted first."""


@dataclass(slots=True)
class Sifted:
    """What has to be written, in the order of the keys."""

    new: Sequence[Row]
    changed: Sequence[Row]
    refused: int = 0
    moved: Sequence[Row] = ()
    """The same content in a later version: only that is kept."""
    looked: bool = True
    """False: they are taken for changed, and some may be none of it."""

    def keys(self, batch: Batch) -> list[str]:
        """Of all that may be written; what is unchanged is nobody's business."""
        return [record.key for rows in (self.new, self.changed) for record, _ in rows] + [
            gone.key for gone, _ in batch.gone
        ]


class Sifter:
    """Looks at the batches of one run."""

    def __init__(self, run: Run, statements: Mapping[str, str], *, authoritative: bool) -> None:
        """`statements`: those of the stream's partition."""
        self._place = {"bucket": run.bucket, "stream": run.stream_id}
        self._asking = {"authoritative": authoritative, "run": run.id}
        self._sql = statements
        self._alone: bool | None = None
        """Whether all that the stream holds was written here as new, so nothing has to be looked up; None: not asked yet."""
        self._sifting = True
        self.straight = True
        """Whether new records may go straight in."""

    def met(self) -> None:
        """Another run wrote one of these keys since we looked: look again, and go the way that can wait."""
        self.straight, self._alone = False, False

    def learn(self, updated: int, *, of: int) -> None:
        """How much of a batch had changed."""
        self._sifting = updated < MOSTLY * of

    def first_look(self, connection: "psycopg.Connection[DictRow]", batch: Batch, *, plain: bool) -> Sifted:
        """What of a batch has to be written; all of it where looking isn't worth a trip. `plain`: it is nothing but records."""
        few = len(batch.rows) <= FEW and batch.size <= FEW_BYTES and plain
        if self._sifting and not few and batch.rows:
            return self.sift(connection, batch.rows)
        return Sifted([], batch.rows, looked=False)

    def sift(self, connection: "psycopg.Connection[DictRow]", rows: Sequence[Row]) -> Sifted:
        """Leave out what the copy holds already, in the same version or a later one."""
        if self._alone is None:
            self._alone = not only(connection.execute(self._sql["has_records"], self._place))["found"]
        if self._alone:
            verdicts = "n" * len(rows)
        else:
            asked = self._place | sift_arrays(rows) | self._asking
            verdicts = only(connection.execute(self._sql["sift_records"], asked))["verdicts"]
        moved = _those(rows, verdicts, "m")
        if not self.straight:
            return Sifted([], _those(rows, verdicts, "nc"), verdicts.count("o"), moved)
        new = _those(rows, verdicts, "n")
        odd = [row for row in new if row[0].deleted or row[0].exact is not None]
        changed = _those(rows, verdicts, "c")
        if odd:  # a tombstone's time is Postgres' to give; bytes that are kept beside their record go by way of the stage
            new = [row for row in new if not row[0].deleted and row[0].exact is None]
            changed = sorted([*changed, *odd], key=lambda row: row[0].key)
        return Sifted(new, changed, verdicts.count("o"), moved)


def are_few(rows: Sequence[Row]) -> bool:
    """Whether they go in one statement. Bytes that are kept beside their record go by way of the stage."""
    return (
        len(rows) <= FEW_CHANGED
        and sum([len(record.raw) for record, _ in rows]) <= FEW_BYTES
        and all(record.exact is None for record, _ in rows)
    )


def only(cursor: psycopg.Cursor[DictRow]) -> DictRow:
    """The row of a statement that always answers with one."""
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - that is how it was written
    return row


def _those(rows: Sequence[Row], verdicts: str, wanted: str) -> Sequence[Row]:
    if sum(map(verdicts.count, wanted)) == len(rows):
        return rows
    return [row for row, verdict in zip(rows, verdicts, strict=True) if verdict in wanted]
