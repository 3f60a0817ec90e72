"""dlt into Postgres, merged by id, incremental by updated_at; runs in dlt's own environment.

    python dlt_sync.py default|fastest SOURCE HOME

default   the rest_api source with every default: INSERTs, delete and insert, a table of its own for the nested lines
fastest   a page of orjson becomes an arrow table, loaded as parquet through ADBC's COPY, merged by upsert
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

MODE, SOURCE, HOME = sys.argv[1:4]
os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="ERROR")
if MODE == "fastest":
    os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"

import dlt  # noqa: E402 - reads its settings when it is imported

TIMES = ("due_at", "started_at", "completed_at", "created_at", "updated_at")


def default() -> Any:
    from dlt.sources.rest_api import rest_api_source

    paginator = {"type": "cursor", "cursor_path": "next_cursor", "cursor_param": "cursor"}
    endpoint = {
        "path": "work_orders",
        "data_selector": "data",
        "params": {"limit": 500, "updated_since": "{incremental.start_value}"},
        "incremental": {"cursor_path": "updated_at", "initial_value": "2000-01-01T00:00:00Z"},
    }
    resource = {
        "name": "work_orders",
        "primary_key": "id",
        "write_disposition": "merge",
        "endpoint": endpoint,
    }
    return rest_api_source({"client": {"base_url": SOURCE, "paginator": paginator}, "resources": [resource]})


def fastest() -> Any:
    import orjson
    import pyarrow as pa
    import pyarrow.compute as pc
    from dlt.sources.helpers import requests

    def table(rows: list[dict[str, Any]]) -> Any:
        for row in rows:
            for name in ("address", "lines"):
                row[name] = orjson.dumps(row[name]).decode()
        made = pa.Table.from_pylist(rows)
        for name in TIMES:
            place = made.schema.get_field_index(name)
            made = made.set_column(place, name, pc.cast(made[name], pa.timestamp("ms", tz="UTC")))
        return made

    @dlt.resource(
        name="work_orders",
        primary_key="id",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        columns={"address": {"data_type": "json"}, "lines": {"data_type": "json"}},
    )
    def work_orders(
        changed: Any = dlt.sources.incremental("updated_at", initial_value=None),  # noqa: B008 - dlt's way
    ) -> Iterator[Any]:
        params: dict[str, Any] = {"limit": 500}
        if changed.last_value is not None:
            params["updated_since"] = f"{changed.last_value:%Y-%m-%dT%H:%M:%S.%fZ}"
        while True:
            page = orjson.loads(requests.get(f"{SOURCE}/work_orders", params=params).content)
            if page["data"]:
                yield table(page["data"])
            if page["next_cursor"] is None:
                return
            params = {"limit": 500, "cursor": page["next_cursor"]}

    return work_orders()


def sync(database: str) -> None:
    destination = dlt.destinations.postgres(database)
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="peer", pipelines_dir=HOME)
    if MODE == "fastest":
        pipeline.run(fastest(), loader_file_format="parquet").raise_on_failed_jobs()
    else:
        pipeline.run(default()).raise_on_failed_jobs()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed
    database = sys.stdin.readline().strip()
    answers.write("{}\n")
    for _ in sys.stdin:
        begun = time.perf_counter()
        sync(database)
        answers.write(json.dumps({"seconds": time.perf_counter() - begun}) + "\n")


if __name__ == "__main__":
    main()
