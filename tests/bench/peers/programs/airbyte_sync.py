"""PyAirbyte: a declarative manifest in this process, into its cache in Postgres, merged by id, incremental.

    python airbyte_sync.py SOURCE HOME

As it comes, it doesn't hand its saved state to a declarative source in the same process, so each sync would read
everything again; `_hand_over_state` mends that, in its favour.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SOURCE, HOME = sys.argv[1:3]
os.environ.update(DO_NOT_TRACK="1", AIRBYTE_OFFLINE_MODE="1", AIRBYTE_NO_UV="1")
os.chdir(HOME)

import airbyte  # noqa: E402 - reads its settings when it is imported
from airbyte.caches import PostgresCache  # noqa: E402

INTEGERS = [
    "id",
    "asset_id",
    "location_id",
    "team_id",
    "assignee_id",
    "requester_id",
    "estimated_minutes",
    "actual_minutes",
]
TEXTS = ["number", "title", "description", "status", "priority", "type", "external_ref"]
TIMES = ["due_at", "started_at", "completed_at", "created_at", "updated_at"]
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%_msZ"


def _schema() -> dict[str, Any]:
    kinds: dict[str, Any] = {name: {"type": ["null", "integer"]} for name in INTEGERS}
    kinds |= {name: {"type": ["null", "string"]} for name in TEXTS}
    kinds |= {name: {"type": ["null", "number"]} for name in ("labor_cost", "parts_cost")}
    moment = {
        "type": ["null", "string"],
        "format": "date-time",
        "airbyte_type": "timestamp_with_timezone",
    }
    kinds |= dict.fromkeys(TIMES, moment)
    kinds |= {
        "is_archived": {"type": ["null", "boolean"]},
        "address": {"type": ["null", "object"]},
        "lines": {"type": ["null", "array"]},
    }
    return {"type": "object", "properties": kinds}


def _retriever() -> dict[str, Any]:
    paginator = {
        "type": "DefaultPaginator",
        "page_token_option": {
            "type": "RequestOption",
            "inject_into": "request_parameter",
            "field_name": "cursor",
        },
        "pagination_strategy": {
            "type": "CursorPagination",
            "cursor_value": "{{ response.get('next_cursor') }}",
            "stop_condition": "{{ not response.get('next_cursor') }}",
        },
    }
    requester = {
        "type": "HttpRequester",
        "url_base": SOURCE,
        "path": "/work_orders",
        "http_method": "GET",
        "request_parameters": {"limit": "500"},
    }
    selector = {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": ["data"]}}
    return {
        "type": "SimpleRetriever",
        "requester": requester,
        "record_selector": selector,
        "paginator": paginator,
    }


def _manifest() -> dict[str, Any]:
    cursor = {
        "type": "DatetimeBasedCursor",
        "cursor_field": "updated_at",
        "datetime_format": TIME_FORMAT,
        "cursor_datetime_formats": [TIME_FORMAT],
        "start_datetime": {
            "type": "MinMaxDatetime",
            "datetime": "2025-01-01T00:00:00.000Z",
            "datetime_format": TIME_FORMAT,
        },
        "start_time_option": {
            "type": "RequestOption",
            "inject_into": "request_parameter",
            "field_name": "updated_since",
        },
    }
    stream = {
        "type": "DeclarativeStream",
        "name": "work_orders",
        "primary_key": ["id"],
        "retriever": _retriever(),
        "incremental_sync": cursor,
        "schema_loader": {"type": "InlineSchemaLoader", "schema": _schema()},
    }
    specification = {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}}
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["work_orders"]},
        "spec": specification,
        "streams": [stream],
    }


def _hand_over_state() -> None:
    from airbyte._executors import declarative
    from airbyte_cdk.models import AirbyteStateMessageSerializer

    execute = declarative.DeclarativeExecutor.execute
    made = declarative.ConcurrentDeclarativeSource

    def with_state(self: Any, args: list[str], **others: Any) -> Any:
        state = None
        if "--state" in args:
            text = Path(args[args.index("--state") + 1]).read_text()
            state = [AirbyteStateMessageSerializer.load(message) for message in json.loads(text)]
        declarative.ConcurrentDeclarativeSource = lambda **known: made(state=state, **known)
        yield from execute(self, args, **others)

    declarative.DeclarativeExecutor.execute = with_state


def sync(database: str) -> int:
    url = urlsplit(database)
    source = airbyte.get_source(
        "source-bench", config={}, source_manifest=_manifest(), install_if_missing=False
    )
    source.select_all_streams()
    cache = PostgresCache(
        host=url.hostname,
        port=url.port,
        username=url.username,
        password=url.password,
        database=url.path.strip("/"),
        schema_name="peer",
    )
    return int(source.read(cache=cache, write_strategy="merge").processed_records)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed
    database = sys.stdin.readline().strip()
    _hand_over_state()
    answers.write("{}\n")
    for _ in sys.stdin:
        begun = time.perf_counter()
        read = sync(database)
        answers.write(json.dumps({"seconds": time.perf_counter() - begun, "read": read}) + "\n")


if __name__ == "__main__":
    main()
