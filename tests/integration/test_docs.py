"""Is the SQL that the documentation shows SQL that finds something?"""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow
from servers.rows.connection_rows import REGISTRY, applied, plant
from unit.docs.pages import Block, blocks

from worker.db.database import Database
from worker.views.tending import make_all

pytestmark = pytest.mark.integration

ORDERS: list[dict[str, Any]] = [
    {
        "number": f"WO-{number}",
        "status": status,
        "priority": "high",
        "title": "Pump leaks",
        "due_date": "2026-03-01",
        "updated_at": "2026-03-01T10:00:00Z",
    }
    for number, status in enumerate(["open", "in_progress", "open", "completed"])
]

BOUGHT = {
    "number": "PO-1",
    "status": "approved",
    "lines": [{"part_id": "PRT-1", "quantity": 5, "quantity_received": 2}],
}


@pytest.fixture
def copy(database_url: str) -> Iterator[psycopg.Connection[DictRow]]:
    """A copy of the demo's work orders, one of them gone, one set aside."""
    database = Database(database_url, name="tests", pool=2)
    applied(database, plant(id="demo-plant", name="demo-plant", environment="test"))
    try:
        with database.connection() as connection:
            connection.execute(
                "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, source_updated_at,"
                " first_seen_at, deleted_at, cause_kind, cause_id, change_kind)"
                " SELECT s.bucket, s.id, n::text, raw, gen_random_uuid(), now(), now(), now(),"
                "        CASE WHEN n = 3 THEN now() END, 'run', gen_random_uuid(),"
                "        CASE WHEN n = 3 THEN 'deleted' ELSE 'created' END"
                "   FROM streams s, json_array_elements(%s) WITH ORDINALITY AS t (raw, n) WHERE s.name = 'work_orders'",
                (json.dumps(ORDERS),),
            )
            connection.execute(
                "INSERT INTO quarantine (stream_id, content_hash, code, reason, raw, run_id, page)"
                " SELECT id, gen_random_uuid(), 'no_key', 'It has no id.', '{}', gen_random_uuid(), 1"
                "   FROM streams WHERE name = 'work_orders'"
            )
            connection.execute(
                "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, cause_kind, cause_id, change_kind)"
                " SELECT bucket, id, '1', %s, gen_random_uuid(), now(), 'run', gen_random_uuid(), 'created'"
                "   FROM streams WHERE name = 'purchase_orders'",
                (json.dumps(BOUGHT),),
            )
            make_all(database, REGISTRY)
            yield connection
    finally:
        database.close()


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_every_example_of_sql_finds_rows(copy: psycopg.Connection[DictRow], block: Block) -> None:
    for statement in filter(str.strip, block.text.split(";")):
        done = copy.execute(statement)
        if done.description is not None:
            assert done.fetchall(), statement
