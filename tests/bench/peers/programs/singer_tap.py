"""A Singer tap for the benchmark's source, as singer-sdk wants one to be written: paged, typed, incremental."""

from collections.abc import Mapping
from typing import Any

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BaseAPIPaginator
from singer_sdk.streams import RESTStream

INTEGERS = "id asset_id location_id team_id assignee_id requester_id estimated_minutes actual_minutes"
TEXTS = "number title description status priority type external_ref"
TIMES = "due_at started_at completed_at created_at updated_at"
ADDRESS = th.ObjectType(
    th.Property("street", th.StringType),
    th.Property("city", th.StringType),
    th.Property("zip", th.StringType),
    th.Property("geo", th.ObjectType(th.Property("lat", th.NumberType), th.Property("lon", th.NumberType))),
)
LINE = th.ObjectType(
    th.Property("line_no", th.IntegerType),
    th.Property("part", th.StringType),
    th.Property("qty", th.IntegerType),
    th.Property("unit_cost", th.NumberType),
)


class Pages(BaseAPIPaginator[Any]):
    def __init__(self) -> None:
        super().__init__(None)

    def get_next(self, response: Any) -> Any:
        return response.json()["next_cursor"]


class WorkOrders(RESTStream[Any]):
    name = "work_orders"
    path = "/work_orders"
    primary_keys = ("id",)
    replication_key = "updated_at"
    records_jsonpath = "$.data[*]"
    is_sorted = True
    schema = th.PropertiesList(
        *[th.Property(name, th.IntegerType) for name in INTEGERS.split()],
        *[th.Property(name, th.StringType) for name in TEXTS.split()],
        *[th.Property(name, th.DateTimeType) for name in TIMES.split()],
        *[th.Property(name, th.NumberType) for name in ("labor_cost", "parts_cost")],
        th.Property("is_archived", th.BooleanType),
        th.Property("address", ADDRESS),
        th.Property("lines", th.ArrayType(LINE)),
    ).to_dict()

    @property
    def url_base(self) -> str:
        return str(self.config["source"])

    def get_new_paginator(self) -> Pages:
        return Pages()

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: Any) -> dict[str, Any]:
        since = self.get_starting_replication_key_value(context)
        if next_page_token:
            return {"limit": 500, "cursor": next_page_token}
        return {"limit": 500} | ({"updated_since": since} if since else {})


class BenchTap(Tap):
    name = "tap-bench"
    config_jsonschema = th.PropertiesList(th.Property("source", th.StringType)).to_dict()

    def discover_streams(self) -> list[Any]:
        return [WorkOrders(self)]


if __name__ == "__main__":
    BenchTap.cli()
