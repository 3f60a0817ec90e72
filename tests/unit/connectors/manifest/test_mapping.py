"""What a manifest and a connection may say of models, and complaints that lead to the place."""

from pathlib import Path
from typing import Any

import pytest

from scheduler.connections.options.viewing import parse_models
from worker.connectors.connector import ManifestConnector
from worker.connectors.manifest.model import load_manifest
from worker.connectors.manifest.views.expressions import At, BadMapping, Const, Enum
from worker.connectors.manifest.views.mapping import override, read_models
from worker.connectors.registry import Registry
from worker.errors import InvalidInput

STREAMS = ("orders", "items")


def models(**given: Any) -> Any:
    return read_models(given, STREAMS)


BAD: list[tuple[dict[str, Any], tuple[Any, ...], str]] = [
    ({"work_orders": {}}, ("work_orders",), "Did you mean 'work_order'?"),
    ({"work_order": {"stream": "order", "fields": {}}}, ("work_order", "stream"), "Did you mean 'orders'?"),
    ({"work_order": {"fields": {}}}, ("work_order",), ""),
    ({"work_order": {"stream": "orders", "fields": {"titel": "x"}}}, ("work_order", "fields", "titel"), "Did you mean 'title'?"),
    ({"work_order": {"stream": "orders", "fields": {"status": {"const": "opne"}}}}, ("work_order", "fields", "status"), "'open'"),
    ({"work_order": {"stream": "orders", "fields": {"status": {"enum": {"A": "started"}, "of": "s"}}}},
     ("work_order", "fields", "status"), ""),
    ({"work_order": {"stream": "orders", "fields": {"status": {"enum": {}, "of": "s"}}}},
     ("work_order", "fields", "status", "enum"), ""),
    ({"work_order": {"stream": "orders", "fields": {"title": {"frist_of": ["a"]}}}}, ("work_order", "fields", "title"), "first_of"),
    ({"work_order": {"stream": "orders", "fields": {"title": {"first_of": []}}}},
     ("work_order", "fields", "title", "first_of"), ""),
    ({"work_order": {"stream": "orders", "fields": {"title": {"path": "a", "as": "datum"}}}},
     ("work_order", "fields", "title", "as"), ""),
    ({"work_order": {"stream": "orders", "fields": {"title": {"path": "a", "zone": "Mars/Base"}}}},
     ("work_order", "fields", "title", "zone"), ""),
    ({"work_order": {"stream": "orders", "fields": {"title": "a..b"}}}, ("work_order", "fields", "title"), ""),
    ({"work_order": {"stream": "orders", "fields": {"title": 5}}}, ("work_order", "fields", "title"), ""),
    ({"work_order": {"stream": "orders", "fields": {}, "lines": {"path": "l", "fields": {}}}}, ("work_order", "lines"), ""),
    ({"purchase_order": {"stream": "orders", "fields": {}, "lines": {"stream": "orders", "parent": "p", "fields": {}}}},
     ("purchase_order", "lines", "stream"), ""),
    ({"work_order": [{"stream": "orders", "fields": {}}, {"stream": "orders", "fields": {}}]}, ("work_order",), ""),
    ({"work_order": {"stream": "orders", "fields": {}, "custom_fields": {str(n): "x" for n in range(51)}}},
     ("work_order", "custom_fields"), ""),
]  # fmt: skip


@pytest.mark.parametrize(("given", "place", "hint"), BAD, ids=str)
def test_what_is_wrong_is_told_where_it_stands(
    given: dict[str, Any], place: tuple[Any, ...], hint: str
) -> None:
    with pytest.raises(BadMapping) as caught:
        read_models(given, STREAMS)
    assert caught.value.place == place
    assert hint in (caught.value.hint or "")


def test_a_path_is_dotted_text_or_a_list_of_names() -> None:
    (one,) = models(work_order={"stream": "orders", "fields": {"title": "a.b", "number": ["a.b"]}})
    assert one.fields == {"title": At(("a", "b")), "number": At(("a.b",))}


def test_a_connection_changes_fields_and_leaves_the_rest() -> None:
    below = models(
        work_order={"stream": "orders", "fields": {"title": "t", "number": "n"}},
        part={"stream": "items", "fields": {}},
    )
    found = override(
        below,
        {
            "work_order": {"fields": {"title": {"const": "x"}}, "custom_fields": {"c": "c"}},
            "part": False,
            "asset": {"stream": "items", "fields": {"name": "n"}},
        },
        STREAMS,
    )
    assert [(one.model, one.stream) for one in found] == [("work_order", "orders"), ("asset", "items")]
    assert found[0].fields == {"title": Const("x"), "number": At(("n",))}
    assert found[0].custom_fields == {"c": At(("c",))}


def test_lines_of_a_stream_of_their_own_are_a_mapping_of_their_own() -> None:
    lines = {"stream": "items", "parent": "order", "fields": {"quantity": "q"}}
    header, apart = models(purchase_order={"stream": "orders", "fields": {"number": "n"}, "lines": lines})
    assert (header.stream, header.lines, header.of) == ("orders", None, None)
    assert (apart.stream, apart.of, apart.lines.parent) == ("items", "orders", At(("order",)))
    changed = override(
        (header, apart), {"purchase_order": {"lines": {**lines, "fields": {"quantity": "other"}}}}, STREAMS
    )
    assert [one.lines.fields for one in changed if one.lines] == [{"quantity": At(("other",))}]


def test_the_connections_file_says_the_same_and_is_told_the_same() -> None:
    given = {"work_order": {"fields": {"priority": {"enum": {"1": "low"}, "of": "p"}}}, "vendor": False}
    assert parse_models(given) == given
    with pytest.raises(InvalidInput) as caught:
        parse_models({"work_order": {"fields": {"priorty": "p"}}})
    assert caught.value.place == "work_order.fields.priorty"
    assert caught.value.hint == "Did you mean 'priority'?"


def test_a_manifest_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "shop" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(
        "manifest: 1\nsystem: shop\ntitle: Shop\nprotocol: rest\nbase_url: https://shop.example.com\n"
        "streams:\n  parts: {path: /parts, records: data, key: id, columns: {n: number, m: {path: a.b, type: date}}}\n"
        "models:\n  part:\n    stream: parts\n    fields:\n      nmae: x\n"
    )
    with pytest.raises(InvalidInput) as caught:
        load_manifest(path)
    assert caught.value.place == f"{path}:12"
    path.write_text(path.read_text().replace("nmae", "name").replace("n: number", "n: numbre"))
    with pytest.raises(InvalidInput, match="columns"):
        load_manifest(path)


@pytest.mark.parametrize("system", ["demo", "tryton"])
def test_the_catalog_maps_models(system: str) -> None:
    connector = Registry.load().get(system)
    assert isinstance(connector, ManifestConnector)
    mapped = {mapping.model for mapping in connector.manifest.models}
    assert {"vendor", "part", "location", "purchase_order"} <= mapped


def test_every_status_of_the_demo_is_in_its_tables() -> None:
    connector = Registry.load().get("demo")
    assert isinstance(connector, ManifestConnector)
    statuses = {
        mapping.model: {theirs for theirs, _ in found.table}
        for mapping in connector.manifest.models
        if isinstance(found := mapping.fields.get("status"), Enum)
    }
    assert statuses == {
        "work_order": {"open", "assigned", "in_progress", "on_hold", "completed", "cancelled"},
        "purchase_order": {
            "draft",
            "submitted",
            "approved",
            "partially_received",
            "received",
            "closed",
            "cancelled",
        },
    }
