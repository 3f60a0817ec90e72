"""A manifest from an OpenAPI document: lists become streams, the file is valid, guesses are marked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scheduler.connectors.kit.openapi import sketch_of
from scheduler.connectors.kit.reading import read_openapi
from scheduler.connectors.kit.writing import REVIEW, Sketch, manifest_text
from scheduler.connectors.kit.writing import manifest_of as manifest_of_sketch
from worker.connectors.manifest.model import Manifest, manifest_in
from worker.errors import InvalidInput
from worker.parsing.documents import read_document

ORDER = {
    "allOf": [
        {"$ref": "#/components/schemas/Named"},
        {"type": "object", "properties": {"updated_at": {"type": "string", "format": "date-time"}}},
    ]
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Shop API"},
    "servers": [{"url": "https://{region}.shop.example/v1/", "variables": {"region": {"default": "eu"}}}],
    "components": {
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
        "schemas": {
            "Named": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
            },
            "Order": ORDER,
            "Loop": {"$ref": "#/components/schemas/Loop"},
        },
    },
    "paths": {
        "/orders": {
            "get": {
                "parameters": [
                    {"name": name, "in": "query"} for name in ("offset", "limit", "updated_since")
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {
                                        "total": {"type": "integer"},
                                        "items": {
                                            "type": "array",
                                            "items": {"$ref": "#/components/schemas/Order"},
                                        },
                                    },
                                }
                            }
                        }
                    }
                },
            }
        },
        "/orders/{order_id}": {"get": {"responses": {}}},
        "/health": {"get": {"responses": {"200": {"description": "fine"}}}},
        "/loop": {
            "get": {
                "responses": {
                    "200": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Loop"}}}
                    }
                }
            }
        },
    },
}
SWAGGER: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Old"},
    "host": "old.example.com",
    "basePath": "/api",
    "schemes": ["https"],
    "securityDefinitions": {"basic": {"type": "basic"}},
    "definitions": {"Part": {"type": "object", "properties": {"code": {"type": "string"}}}},
    "paths": {
        "/parts": {
            "get": {
                "responses": {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/Part"}}}}
            }
        }
    },
}


def manifest_of(document: dict[str, Any], name: str) -> tuple[Manifest, str]:
    text = manifest_text(sketch_of(document, name))
    return manifest_in(read_document(text.encode(), f"{name}/manifest.yaml")), text


def test_lists_become_streams_with_what_the_document_says_of_them() -> None:
    manifest, text = manifest_of(DOCUMENT, "shop")
    assert (manifest.title, manifest.auth.kind) == ("Shop API", "header")
    assert manifest.settings["base_url"].default == "https://eu.shop.example/v1"
    assert list(manifest.streams) == ["orders"]
    orders = manifest.streams["orders"]
    assert (orders.shape.records, orders.shape.key, orders.shape.total) == (
        ("items",),
        (("id",),),
        ("total",),
    )
    assert orders.incremental is not None
    assert orders.incremental.param == "updated_since"
    assert orders.single is not None
    assert REVIEW in text


def test_swagger_2_is_read_too() -> None:
    manifest, _ = manifest_of(SWAGGER, "old")
    assert manifest.auth.kind == "basic"
    assert manifest.settings["base_url"].default == "https://old.example.com/api"
    assert manifest.streams["parts"].shape.key == (("code",),)


@pytest.mark.parametrize("document", [{}, {"openapi": "1"}, {"paths": {}}])
def test_what_is_no_openapi_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        sketch_of(document, "x")
    assert caught.value.code == "not_openapi"


def listing(row: dict[str, Any], params: Sequence[Any] = (), **around: Any) -> dict[str, Any]:
    """A path whose answer wraps a list."""
    items = {"type": "array", "items": {"type": "object", "properties": row}}
    schema = {"type": "object", "properties": {**around, "data": items}}
    answer = {"200": {"content": {"application/json": {"schema": schema}}}}
    return {
        "get": {
            "parameters": [
                {"in": "query", **one} if isinstance(one, dict) else {"in": "query", "name": one}
                for one in params
            ],
            "responses": answer,
        }
    }


def one(schema: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}}


def document(**paths: Any) -> dict[str, Any]:
    return {"openapi": "3.0.0", "info": {"title": "X"}, "servers": [{"url": "/api"}], "paths": paths["paths"]}


TEXT = {"type": "string"}
ROW = {"password": TEXT, "title": TEXT, "order_id": TEXT}


def sketched(paths: dict[str, Any], **options: Any) -> tuple[dict[str, Any], Sketch]:
    sketch = sketch_of(document(paths=paths), "x", **options)
    manifest_of_sketch(sketch)
    return next(iter(sketch.streams.values()), {}), sketch


def test_a_key_is_never_what_looks_secret() -> None:
    stream, _ = sketched({"/accounts": listing({"password": TEXT, "title": TEXT})})
    assert stream["key"] == "id"
    stream, sketch = sketched({"/orders": listing(ROW)})
    assert stream["key"] == "order_id"
    assert "key" not in sketch.remarks["orders"]


def test_the_place_of_a_path_names_the_key() -> None:
    row = {"external_id": TEXT, "payment_hash": TEXT}
    stream, _ = sketched({"/payments": listing(row), "/payments/{payment_hash}": one({"properties": row})})
    assert stream["key"] == "payment_hash"


def test_a_list_of_what_is_not_described_is_a_list_where_it_is_called_so() -> None:
    schema = {"properties": {"data": {"type": "array", "items": {}}, "total": {"type": "integer"}}}
    stream, sketch = sketched({"/payments/paginated": one(schema)})
    assert (stream["records"], stream["total"]) == ("data", "total")
    assert "key" in sketch.remarks["payments"]


def test_of_several_ways_to_log_in_the_plainest_is_taken_and_the_others_are_named() -> None:
    schemes = {
        "oauth": {"type": "oauth2"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    }
    orders = listing(ROW)
    orders["get"]["security"] = [{"oauth": []}, {"key": []}]
    text = {**document(paths={"/orders": orders}), "components": {"securitySchemes": schemes}}
    sketch = sketch_of(text, "x")
    assert sketch.auth == "header:X-Key"
    assert "other ways, too: oauth, bearer" in sketch.auth_remark


def test_where_a_document_says_nothing_of_logging_in_that_is_marked() -> None:
    _, sketch = sketched({"/orders": listing(ROW)})
    assert sketch.auth == "none"
    assert f"# {REVIEW}The document doesn't say how one logs in" in manifest_text(sketch)


def test_lists_below_a_name_are_named_or_read_where_the_name_is_said() -> None:
    paths = {"/orders": listing(ROW), "/sites/{siteId}/orders": listing(ROW)}
    _, sketch = sketched(paths)
    assert [*sketch.streams] == ["orders"]
    assert "/sites/{siteId}/orders" in manifest_text(sketch)
    _, sketch = sketched(paths, places=["site_id"])
    assert sketch.streams["sites_orders"]["path"] == "/sites/{site_id}/orders"
    assert sketch.settings == ("site_id",)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ({"properties": ROW}, {}),
        ({"properties": {"data": {"properties": ROW}}}, {"record": "data"}),
        ({"properties": {"rows": {"type": "array", "items": {"properties": ROW}}}}, {"record": "rows.0"}),
    ],
)
def test_one_record_is_taken_out_of_what_wraps_it(answer: dict[str, Any], wanted: dict[str, str]) -> None:
    stream, sketch = sketched({"/orders": listing(ROW), "/orders/{id}": one(answer)})
    assert stream["single"] == wanted
    assert not sketch.left_out
    stream, _ = sketched({"/orders/": listing(ROW), "/orders/{id}/": one(answer)})
    assert stream["single"] == wanted


@pytest.mark.parametrize(
    ("params", "around", "wanted"),
    [
        (["_next", {"name": "_size", "schema": {"maximum": 500}}], {"next": TEXT, "next_url": TEXT},
         {"cursor": {"param": "_next", "path": "next", "size_param": "_size", "size": 500}}),
        (["per_page"], {"next_page_url": TEXT}, {"next_link": {"path": "next_page_url", "size_param": "per_page", "size": 100}}),
        (["page_token", "page_size"], {"meta": {"properties": {"next_page_token": TEXT}}},
         {"cursor": {"param": "page_token", "path": "meta.next_page_token", "size_param": "page_size", "size": 100}}),
        ([{"name": "page", "schema": {"default": 0}}, "perPage"], {}, {"page": {"param": "page", "size_param": "perPage", "size": 100, "first": 0}}),
        ([], {"next": {"type": "string", "format": "uri"}}, {"next_link": {"path": "next"}}),
    ],
)  # fmt: skip
def test_how_a_list_is_continued_is_seen_by_names(params: Any, around: Any, wanted: Any) -> None:
    stream, _ = sketched({"/orders": listing(ROW, params, **around)})
    assert stream["paging"] == wanted


def test_a_parameter_of_one_value_is_given_and_another_is_asked_for() -> None:
    shape = {"name": "shape", "required": True, "schema": {"enum": ["objects"]}}
    stream, sketch = sketched({"/orders": listing(ROW, [shape, {"name": "year", "required": True}])})
    assert stream["params"] == {"shape": "objects"}
    assert "year" in sketch.remarks["orders"]["path"]


def test_an_address_of_its_own_stands_before_a_relative_base_url() -> None:
    _, sketch = sketched({"/orders": listing(ROW)}, seen_at="https://h.example.com/docs/openapi.json")
    assert sketch.base_url == "https://h.example.com/api"


def test_a_list_whose_answer_is_not_described_is_known_by_its_pages_or_its_records() -> None:
    elsewhere = {"200": {"$ref": "https://schemas.example.org/x.yaml#/components/responses/Features"}}
    paged = {
        "get": {
            "parameters": [{"name": name, "in": "query"} for name in ("limit", "offset")],
            "responses": elsewhere,
        }
    }
    plain = {"get": {"responses": elsewhere}}
    _, sketch = sketched(
        {"/about": plain, "/collections/sites/items": paged, "/parts": plain, "/parts/{id}": plain}
    )
    assert [*sketch.streams] == ["sites", "parts"]
    assert sketch.streams["sites"]["paging"] == {
        "offset": {"param": "offset", "limit_param": "limit", "size": 100}
    }
    assert "doesn't describe this answer" in sketch.remarks["parts"]["records"]


def test_lists_that_are_asked_for_by_a_body_are_named() -> None:
    search = {"post": listing(ROW)["get"]}
    _, sketch = sketched({"/orders": listing(ROW), "/parts/filter": search, "/parts": search})
    (said,) = sketch.left_out
    assert "by POST: /parts/filter." in said


def test_a_list_below_each_record_of_another_is_named_with_how_it_is_asked_for() -> None:
    _, sketch = sketched(
        {"/orders": listing(ROW), "/orders/{orderId}/lines": listing(ROW), "/x/{id}/y": listing(ROW)}
    )
    left_out, below = sketch.left_out
    assert "/orders/{orderId}/lines, /x/{id}/y" in left_out
    assert "for each of orders" in below
    assert "single: {path: /orders/{key}/lines}" in below


def test_what_a_document_says_stays_in_its_place() -> None:
    orders = listing(ROW, [{"name": "year\nlimits: {requests: 1}", "required": True}])
    text = {**document(paths={"/orders": orders}), "info": {"title": "Shop\nprotocol: sql"}}
    manifest, _ = manifest_of(text, "x")
    assert (manifest.protocol, manifest.limits.concurrency) == ("rest", 2)


@pytest.mark.parametrize("wrong", [None, "x", 7, [1], {"a": None}])
def test_a_document_that_is_wrong_in_part_is_read_for_the_rest(wrong: Any) -> None:
    paths: dict[str, Any] = {"/orders": listing(ROW), "/a": wrong, "/b": {"get": wrong}}
    paths["/c"] = {"get": {"parameters": wrong, "responses": wrong}}
    paths["/d"] = {
        "get": {"responses": {"200": {"content": {"application/json": {"schema": {"allOf": wrong}}}}}}
    }
    text = {**document(paths=paths), "components": wrong, "info": wrong, "servers": wrong, "security": wrong}
    assert "orders" in sketch_of(text, "x").streams


def test_a_web_page_in_its_place_is_told(tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    page.write_text("<html>: {")
    with pytest.raises(InvalidInput) as caught:
        read_openapi(str(page))
    assert caught.value.message == "It is a web page, or XML."


def test_nobody_s_password_in_an_address_is_shown_or_kept() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_openapi("https://anna:planted@h.example/openapi.json")
    assert (caught.value.code, caught.value.place) == ("plain_secret", "https://h.example/openapi.json")
    text = {**document(paths={"/orders": listing(ROW)}), "servers": [{"url": "https://anna:planted@h/v1"}]}
    assert sketch_of(text, "x").base_url == "https://h/v1"
