"""A copy with records in it, and its views: what the tests of views begin with."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from servers.rows.connection_rows import REGISTRY, applied, plant

from worker.db.database import Database
from worker.db.queries import sql
from worker.views.make import make_views
from worker.views.streams import Described, described_all
from worker.views.unified import make_models


class Viewed:
    """One database with connections of the demo system."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def connect(self, which: str = "north", **fields: Any) -> None:
        applied(self.database, plant(which, **fields))

    def put(self, stream: str, records: Mapping[str, Any], *, connection: str = "Plant north") -> None:
        """Write records as a page would, each text as it is."""
        for key, record in records.items():
            raw = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
            self.database.run(
                "INSERT INTO records AS r (bucket, stream_id, key, raw, content_hash, observed_at, source_updated_at,"
                " cause_kind, cause_id, change_kind)"
                " SELECT s.bucket, s.id, %(key)s, %(raw)s, gen_random_uuid(), now(), now(), 'run', gen_random_uuid(),"
                " 'created' FROM streams s JOIN connections c ON c.id = s.connection_id"
                " WHERE s.name = %(stream)s AND c.name = %(connection)s"
                " ON CONFLICT (bucket, stream_id, key) DO UPDATE SET raw = excluded.raw, change_kind = 'updated',"
                " deleted_at = NULL, change_xid = pg_current_xact_id(), change_seq = nextval('record_change_seq')",
                {"key": key, "raw": raw, "stream": stream, "connection": connection},
            )

    def delete(self, stream: str, key: str) -> None:
        """Leave a tombstone."""
        self.database.run(
            "UPDATE records r SET deleted_at = now(), change_kind = 'deleted', change_xid = pg_current_xact_id(),"
            " change_seq = nextval('record_change_seq') FROM streams s"
            " WHERE r.bucket = s.bucket AND r.stream_id = s.id AND s.name = %(stream)s AND r.key = %(key)s",
            {"stream": stream, "key": key},
        )

    def streams(self) -> list[Described]:
        rows = self.database.all(sql.streams_of_connections_for_views, {"connections": None})
        return [found for _, found in described_all(self.database, rows, REGISTRY)]

    def make(self, *only: str) -> None:
        """The views of these streams, or of all."""
        for stream in self.streams():
            if not only or stream.name in only:
                assert make_views(self.database, stream)

    def make_models(self) -> None:
        assert make_models(self.database, self.streams())

    def stream(self, name: str) -> Described:
        (found,) = (stream for stream in self.streams() if stream.name == name)
        return found

    def all(self, statement: str) -> list[dict[str, Any]]:
        return self.database.all(statement)

    def columns(self, view: str, schema: str = "data") -> dict[str, str]:
        """Names and types, in their order."""
        rows = self.database.all(
            "SELECT attname, format_type(atttypid, NULL) AS kind FROM pg_attribute"
            " WHERE attrelid = %(view)s::regclass AND attnum > 0 ORDER BY attnum",
            {"view": f"{schema}.{view}"},
        )
        return {row["attname"]: row["kind"] for row in rows}

    def values(self, view: str, column: str, key: str = "_key") -> dict[str, Any]:
        rows = self.database.all(f"SELECT {key} AS k, {column} AS v FROM {view}")
        return {row["k"]: row["v"] for row in rows}


def names(rows: Sequence[Mapping[str, Any]], column: str) -> list[Any]:
    return [row[column] for row in rows]
