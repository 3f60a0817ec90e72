"""A copy that a test changes by hand: records written as the loader writes them, in transactions of the test's own."""

import json
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import psycopg

from worker.db.database import Database
from worker.feed.position import Position
from worker.feed.reading import Page, Wanted, read_changes

WRITE = """
INSERT INTO records AS r (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, deleted_at, delete_reason,
                          cause_kind, cause_id, change_kind)
SELECT s.bucket, s.id, %(key)s, %(raw)s, gen_random_uuid(), clock_timestamp(), now(),
       CASE WHEN %(reason)s::text IS NOT NULL THEN clock_timestamp() END, %(reason)s, 'run', %(run)s,
       CASE WHEN %(reason)s::text IS NULL THEN 'created' ELSE 'deleted' END
  FROM streams s WHERE s.name = %(stream)s
ON CONFLICT (bucket, stream_id, key) DO UPDATE
   SET raw = excluded.raw, observed_at = excluded.observed_at, deleted_at = excluded.deleted_at,
       delete_reason = excluded.delete_reason, change_xid = pg_current_xact_id(),
       change_seq = nextval('record_change_seq'),
       change_kind = CASE WHEN excluded.deleted_at IS NOT NULL THEN 'deleted'
                          WHEN r.deleted_at IS NOT NULL THEN 'created' ELSE 'updated' END
"""
RUN = uuid4()


class Copy:
    """Two streams of one connection, `orders` and `parts`, in different buckets."""

    def __init__(self, database: Database, url: str, *, known: bool = False) -> None:
        self.database = database
        self.url = url
        self._open = ExitStack()
        if known:
            return
        with database.transaction() as tx:
            tx.execute("INSERT INTO connections (name, system) VALUES ('plant', 'demo')")
            tx.execute(
                "INSERT INTO streams (connection_id, name, bucket, schedule)"
                " SELECT c.id, v.name, v.bucket, '{\"every\": 900}' FROM connections c,"
                " (VALUES ('orders', 3), ('parts', 17)) v (name, bucket)"
            )

    @classmethod
    def at(cls, database: Database, url: str) -> Self:
        """The copy that is there already: a restored one."""
        return cls(database, url, known=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def begin(self, url: str | None = None) -> psycopg.Connection[Any]:
        """A transaction that stays open until the test commits, or ends."""
        connection = psycopg.connect(url or self.url, autocommit=True)
        self._open.callback(connection.close)
        connection.execute("BEGIN")
        return connection

    def write(
        self,
        key: str,
        value: Any = 1,
        *,
        stream: str = "orders",
        reason: str | None = None,
        tx: psycopg.Connection[Any] | None = None,
    ) -> None:
        """Create or change a record, or with a reason delete it; committed unless a transaction is given."""
        params = {
            "key": key, "raw": json.dumps({"id": key, "value": value}), "stream": stream, "reason": reason, "run": RUN,
        }  # fmt: skip
        if tx is None:
            self.database.run(WRITE, params)
        else:
            tx.execute(WRITE, params)

    def read(self, after: Position | None = None, *, limit: int = 100, **wanted: Any) -> Page:
        return read_changes(self.database, after, Wanted(**wanted), limit=limit)

    def stream(self, name: str) -> dict[str, Any]:
        """As `Wanted` takes it."""
        row = self.database.one("SELECT id, bucket FROM streams WHERE name = %(name)s", {"name": name})
        assert row is not None
        return {"streams": [row["id"]], "buckets": [row["bucket"]]}

    def state(self) -> dict[tuple[str, str], Any]:
        """What the copy holds: the value of each record, None of a tombstone."""
        rows = self.database.all(
            "SELECT s.name, r.key, r.raw::text AS raw, r.deleted_at FROM records r JOIN streams s ON s.id = r.stream_id"
        )
        return {(row["name"], row["key"]): value_of(row) for row in rows}


def value_of(row: Any) -> Any:
    return json.loads(row["raw"])["value"] if row["deleted_at"] is None else None


def keys(page: Page) -> list[str]:
    return [change["key"] for change in page.changes]


class Reader:
    """Somebody who remembers a position and what he was told."""

    def __init__(self, copy: Copy, *, limit: int = 3, **wanted: Any) -> None:
        self._copy = copy
        self._limit = limit
        self._wanted = wanted
        self.position: Position | None = None
        self.knows: dict[tuple[str, str], Any] = {}

    def read(self) -> Page:
        """One page."""
        page = self._copy.read(self.position, limit=self._limit, **self._wanted)
        for change in page.changes:
            self.knows[change["stream"], change["key"]] = value_of(change)
        self.position = page.next
        return page

    def catch_up(self) -> None:
        while self.read().more:
            pass
