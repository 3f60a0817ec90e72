"""What a tap's catalog tells, and how one stream of it is chosen."""

from copy import deepcopy
from typing import Any

import pytest

from worker.connectors.manifest.singer import secrets_in, with_secrets
from worker.connectors.protocols.singer_calls import Choice
from worker.connectors.protocols.singer_catalog import chosen, column_types, found_in
from worker.errors import NeedsOperator, NotFound

SCHEMA = {
    "properties": {
        "id": {"type": ["null", "integer"]},
        "name": {"type": ["string", "null"]},
        "secret": {"type": "string"},
        "changed": {"type": ["null", "string"], "format": "date-time"},
    }
}
MODERN: dict[str, Any] = {
    "streams": [
        {
            "tap_stream_id": "public-WorkOrders",
            "stream": "WorkOrders",
            "schema": SCHEMA,
            "metadata": [
                {
                    "breadcrumb": [],
                    "metadata": {"table-key-properties": ["id"], "valid-replication-keys": ["changed"]},
                },
                {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
                {"breadcrumb": ["properties", "name"], "metadata": {"inclusion": "available"}},
                {"breadcrumb": ["properties", "secret"], "metadata": {"inclusion": "unsupported"}},
            ],
        },
        {"tap_stream_id": "other", "stream": "other", "schema": {}, "metadata": []},
    ]
}
LEGACY: dict[str, Any] = {
    "streams": [
        {"stream": "a", "tap_stream_id": "a", "key_properties": ["x", "y"], "schema": SCHEMA},
        {
            "stream": "b",
            "tap_stream_id": "b",
            "replication_key": "changed",
            "schema": SCHEMA,
            "selected": True,
        },
    ]
}


def about(entry: dict[str, Any], *breadcrumb: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        each["metadata"] for each in entry["metadata"] if each["breadcrumb"] == list(breadcrumb)
    )
    return found


def test_one_stream_is_chosen_in_both_ways_of_saying_so_and_no_other() -> None:
    before = deepcopy(MODERN)
    one, other = chosen(MODERN, Choice("public-WorkOrders", "incremental", "changed"))["streams"]
    assert (one["selected"], about(one)["selected"]) == (True, True)
    assert (other["selected"], about(other)["selected"]) == (False, False)
    assert about(one)["replication-method"] == one["replication_method"] == "INCREMENTAL"
    assert about(one)["replication-key"] == one["replication_key"] == "changed"
    assert before == MODERN, "what was found stays as it is"


def test_fields_are_selected_but_for_what_is_left_out_or_cannot_be_read() -> None:
    one, _ = chosen(MODERN, Choice("public-WorkOrders", leave_out=("name",)))["streams"]
    assert about(one, "properties", "name")["selected"] is False
    assert about(one, "properties", "changed")["selected"] is True, "the tap said nothing of it"
    assert "selected" not in about(one, "properties", "secret")
    assert "selected" not in about(one, "properties", "id")


def test_what_a_tap_forces_stays() -> None:
    catalog = deepcopy(MODERN)
    about(catalog["streams"][0])["forced-replication-method"] = "FULL_TABLE"
    one = chosen(catalog, Choice("public-WorkOrders", "incremental"))["streams"][0]
    assert "replication-method" not in about(one)


def test_an_older_catalog_is_chosen_from_by_its_own_words() -> None:
    a, b = chosen(LEGACY, Choice("a", "full_table"))["streams"]
    assert (a["selected"], b["selected"]) == (True, False)
    assert a["replication_method"] == "FULL_TABLE"


def test_a_stream_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        chosen(MODERN, Choice("public-WorkOrder"))
    assert "public-WorkOrders" in str(caught.value)


@pytest.mark.parametrize("found", [[], {}, {"streams": 1}, {"streams": [{}]}, None])
def test_what_is_no_catalog_is_told_as_such(found: Any) -> None:
    with pytest.raises(NeedsOperator):
        found_in(found)


def test_streams_are_found_with_keys_and_types_in_the_manifests_words() -> None:
    one, other = found_in(MODERN)
    assert one.name == "public_work_orders"
    assert one.describe == {
        "tap": {"stream": "public-WorkOrders", "replication": "incremental", "replication_key": "changed"},
        "key": "id",
        "version": "changed",
        "updated_at": "changed",
        "columns": {"id": "integer", "changed": "time"},
    }
    assert (one.key, one.cursor) == (("id",), "changed")
    assert other.describe["tap"] == {"stream": "other", "replication": "full_table"}
    assert any("key" in remark for remark in other.remarks)


def test_older_catalogs_tell_keys_and_cursors_too() -> None:
    a, b = found_in(LEGACY)
    assert (a.describe["key"], a.describe["tap"]["replication"]) == (["x", "y"], "full_table")
    assert b.cursor == "changed"


def test_names_that_would_be_the_same_are_told_apart() -> None:
    streams = [{"tap_stream_id": name, "schema": {}} for name in ("a-b", "a_b", "A B", "9")]
    assert [each.name for each in found_in({"streams": streams})] == ["a_b", "a_b_2", "a_b_3", "s_9"]


def test_types_come_from_the_json_schema_where_it_says_one() -> None:
    properties = {
        "n": {"type": ["null", "number"]},
        "m": {"type": ["integer", "number", "null"]},
        "d": {"type": "string", "format": "date"},
        "p": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "q": {"type": ["string", "null"], "format": "singer.decimal"},
        "b": {"type": "boolean"},
        "o": {"type": ["null", "object"]},
        "l": {"type": "array"},
        "t": {"type": "string"},
        "x": {"type": ["integer", "string"]},
        "y": {},
    }
    assert column_types({"properties": properties}) == {
        "n": "number", "m": "number", "d": "date", "p": "time", "q": "number", "b": "boolean", "o": "json", "l": "json",
    }  # fmt: skip


def test_secrets_are_put_where_the_config_has_their_places() -> None:
    config = {"a": "{secret:one}", "b": [{"c": "x {secret:two} y"}, 5, None], "d": "{secret}"}
    assert sorted(secrets_in(config)) == [(("a",), "one"), (("b", 0, "c"), "two")]
    assert with_secrets(config, {"one": "1", "two": "2"}.__getitem__) == {
        "a": "1",
        "b": [{"c": "x 2 y"}, 5, None],
        "d": "{secret}",
    }
