"""A manifest from an OpenAPI document: lists become streams, the file is valid, guesses are marked."""

from typing import Any

import pytest

from scheduler.connectors.kit.openapi import sketch_of
from scheduler.connectors.kit.writing import REVIEW, manifest_text
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
