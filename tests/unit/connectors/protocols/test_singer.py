"""How a connection to a tap is described, asked and read: without a tap."""

import json
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Window
from worker.connectors.describing import BadDescription
from worker.connectors.protocols.singer_calls import Odd, Told, answer, asked_by
from worker.connectors.registry import Registry
from worker.errors import Transient

SINGER = Registry.load().get("singer")
assert isinstance(SINGER, ManifestConnector)
ORDERS: dict[str, Any] = {
    "tap": {"stream": "public-orders", "replication": "incremental", "replication_key": "changed_at"},
    "key": "id",
    "version": "changed_at",
}
SITES: dict[str, Any] = {"tap": {"stream": "sites"}, "key": ["plant", "id"]}
EVERYTHING = Window()


def described(**own: Any) -> dict[str, Any]:
    singer = {"config": {"host": "db.example.com", "password": "{secret:password}"}}
    given = {"singer": singer, "secrets": {"password": {}}, "streams": {"orders": ORDERS, "sites": SITES}}
    return {"tap": "tap-any==1.0.0", "describe": {**given, **own}}


def stream(name: str, **own: Any) -> Any:
    return SINGER.bind(described(**own)).stream(name)


def batch(*rows: dict[str, Any], **told: Any) -> Any:
    return answer(json.dumps(list(rows)).encode(), Told("s1", 1, **told))


def test_the_tap_gets_its_config_without_secrets_and_the_stream_that_it_shall_read() -> None:
    asked = asked_by(stream("orders").request(Window(token='{"bookmarks": {}}'), None))
    assert (asked.tap, asked.session, asked.state) == ("tap-any==1.0.0", None, '{"bookmarks": {}}')
    assert asked.config == {"host": "db.example.com", "password": "{secret:password}"}
    assert asked.choice is not None
    assert (asked.choice.stream, asked.choice.method) == ("public-orders", "incremental")
    assert SINGER.secrets_of(described()) == {"password": True}


def test_a_place_leads_to_the_batch_of_a_process_and_to_the_state_that_replaces_it() -> None:
    orders = stream("orders")
    page = orders.read(batch({"id": 1, "changed_at": "2026-01-01T00:00:00Z"}, state="{}"), EVERYTHING, None)
    assert [record.key for record in page.records] == ["1"]
    assert page.records[0].version is not None
    asked = asked_by(orders.request(EVERYTHING, page.next))
    assert (asked.session, asked.number, asked.state) == ("s1", 1, "{}")


def test_the_last_state_is_the_cursor_of_the_next_run_where_the_stream_goes_on_from_one() -> None:
    page = stream("orders").read(batch(done=True, state='{"a": 1}'), EVERYTHING, None)
    assert (page.next, page.token) == (None, '{"a": 1}')
    whole = stream("sites").read(batch(done=True, state='{"a": 1}'), EVERYTHING, None)
    assert whole.token is None
    traits = stream("orders").traits, stream("sites").traits
    assert [(each.token, each.incremental, each.unbroken, each.at_once) for each in traits] == [
        (True, True, True, 1),
        (False, False, True, 1),
    ]


def test_a_line_that_could_not_be_taken_is_set_aside_with_its_reason() -> None:
    page = stream("sites").read(batch(odd=(Odd("line_too_long", "It is long.", "{"),)), EVERYTHING, None)
    assert [(bad.code, bad.raw) for bad in page.rejected] == [("line_too_long", b"{")]


def test_what_is_read_whole_can_be_swept_and_counts_only_if_the_tap_says_that_it_came_whole() -> None:
    swept = stream("sites").sweep()
    row = {"plant": "N", "id": 3}
    assert swept.read(batch(row, done=True, versions="activated"), EVERYTHING, None).keys == ['["N",3]']
    assert swept.read(batch(row, done=True, versions="none"), EVERYTHING, None).keys == ['["N",3]']
    with pytest.raises(Transient) as caught:
        swept.read(batch(row, done=True, versions="open"), EVERYTHING, None)
    assert caught.value.code == "version_not_activated"


def test_what_goes_on_from_a_state_is_swept_only_where_that_is_asked_for_and_then_without_one() -> None:
    assert stream("orders").sweep() is None
    whole = {
        **ORDERS,
        "deletes": {"sweep": {"tap": {"stream": "public-orders", "replication": "full_table"}}},
    }
    swept = stream("orders", streams={"orders": whole}).sweep()
    asked = asked_by(swept.request(EVERYTHING, None))
    assert (asked.state, asked.choice and asked.choice.method) == (None, "full_table")
    again = stream("orders", streams={"orders": {**ORDERS, "deletes": {"sweep": {}}}}).sweep()
    assert not again.traits.incremental


def test_a_log_says_by_a_field_what_is_gone() -> None:
    log = {"tap": {"stream": "a", "replication": "log_based"}, "key": "id"}
    page = stream("log", streams={"log": log}).read(
        batch({"id": 1, "_sdc_deleted_at": "2026-01-01"}, {"id": 2, "_sdc_deleted_at": None}),
        EVERYTHING,
        None,
    )
    assert [record.deleted for record in page.records] == [True, False]


def test_found_streams_fit_into_the_description_as_they_are() -> None:
    discovery = SINGER.bind(described()).discover()
    assert discovery is not None
    assert next(discovery).method == "DISCOVER"
    catalog = {
        "streams": [
            {
                "tap_stream_id": "public-Orders",
                "schema": {
                    "properties": {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}
                },
                "metadata": [
                    {"breadcrumb": [], "metadata": {"table-key-properties": ["id"], "replication-key": "at"}}
                ],
            }
        ]
    }
    with pytest.raises(StopIteration) as end:
        discovery.send(answer(json.dumps(catalog).encode(), Told("", 0)))
    (found,) = end.value.value
    source = SINGER.bind(described(streams={found.name: dict(found.describe)}))
    assert list(source.stream_names) == ["public_orders"]


def test_a_tap_that_is_not_told_what_to_read_is_not_asked_what_there_is() -> None:
    assert SINGER.bind(described(singer={"catalog": "none"})).discover() is None


@pytest.mark.parametrize(
    ("own", "path"),
    [
        ({"secrets": {}}, ("describe", "singer", "config", "password")),
        ({"singer": {"configs": {}}}, ("describe", "singer", "configs")),
        ({"streams": {"orders": {"key": "id"}}}, ("describe", "streams", "orders")),
        (
            {"streams": {"orders": {**ORDERS, "paging": {"none": {}}}}},
            ("describe", "streams", "orders", "paging"),
        ),
        (
            {"streams": {"orders": {**ORDERS, "single": {"path": "/{key}"}}}},
            ("describe", "streams", "orders", "single"),
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(own: dict[str, Any], path: tuple[str, ...]) -> None:
    with pytest.raises(BadDescription) as caught:
        SINGER.check_settings(described(**own))
    assert caught.value.path == path
