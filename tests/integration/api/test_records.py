"""The copy, as a client of the API has it."""

import json
from typing import Any

import pytest
from servers.installation.application import Application
from servers.rows.customers import STREAM, Customers

PLACE = f"/v1/connections/acme/streams/{STREAM}"
RECORDS = f"{PLACE}/records"
ODD = '{"b": 1.10, "a": 123456789012345678901234567890,\r\n "c": "\\u00e4"}'


def add(customers: Customers, key: str, raw: str = "{}", *, deleted: bool = False) -> None:
    customers.database.run(
        "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, cause_kind, cause_id, change_kind,"
        " deleted_at) SELECT bucket, id, %(key)s, %(raw)s, gen_random_uuid(), now(), 'run', gen_random_uuid(),"
        " CASE WHEN %(deleted)s THEN 'deleted' ELSE 'created' END, CASE WHEN %(deleted)s THEN now() END FROM streams WHERE id = %(stream)s",
        {"key": key, "raw": raw, "deleted": deleted, "stream": customers.streams["acme"]},
    )


@pytest.fixture
def api(customers: Customers) -> Application:
    customers.database.run("DELETE FROM records WHERE stream_id = %(s)s", {"s": customers.streams["acme"]})
    return customers.api()


def test_records_are_read_in_pages_by_their_keys(api: Application, customers: Customers) -> None:
    for number in range(7):
        add(customers, f"k{number}", deleted=number == 3)
    found, cursor, pages = [], {}, 0
    while True:
        page = api.read(RECORDS, limit=2, **cursor)
        found += [record["key"] for record in page["records"]]
        pages += 1
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == ["k0", "k1", "k2", "k4", "k5", "k6"]
    assert pages == 3
    assert len(api.read(RECORDS, deleted="true")["records"]) == 7


def test_a_record_stands_there_as_it_was_sent(api: Application, customers: Customers) -> None:
    add(customers, "odd", ODD)
    for text in (api.get(RECORDS).text, api.get(f"{RECORDS}/odd").text):
        assert ODD.replace("\r\n", "  ") in text
        json.loads(text)


def test_a_key_may_hold_anything_that_a_path_can(api: Application, customers: Customers) -> None:
    for key, path in [("a/b", "a%2Fb"), ("ä?&=", "%C3%A4%3F%26%3D"), ("%2F", "%252F")]:
        add(customers, key, json.dumps({"key": key}))
        assert api.read(f"{RECORDS}/{path}")["record"] == {"key": key}


@pytest.mark.parametrize("key", ["nope", "%00", "a%00b", "%F0%9F%98%80"])
def test_a_record_that_is_not_there_is_said_not_to_be(api: Application, key: str) -> None:
    answer = api.get(f"{RECORDS}/{key}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_record")


def test_large_records_make_short_pages(api: Application, customers: Customers) -> None:
    for number in range(120):
        add(customers, f"k{number:03}", json.dumps({"text": "x" * 100_000}))
    page = api.read(RECORDS, limit=200)
    assert 40 <= len(page["records"]) < 120
    rest = api.read(RECORDS, limit=200, cursor=page["next"])
    assert rest["records"][0]["key"] == f"k{len(page['records']):03}"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": 0}, "bad_value"), ({"limit": 501}, "bad_value"), ({"cursor": "x"}, "bad_cursor"),
        ({"as_of": "yesterday"}, "bad_time"), ({"as_of": "2h"}, "no_versions"), ({"delted": "true"}, "unknown_parameter"),
    ],
)  # fmt: skip
def test_what_can_not_be_asked_is_refused(api: Application, query: dict[str, Any], code: str) -> None:
    answer = api.get(RECORDS, **query)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_record_is_shown_as_it_was(api: Application, customers: Customers) -> None:
    add(customers, "k", '{"state": "new"}')
    stream = {"s": customers.streams["acme"]}
    customers.database.run(
        "UPDATE streams SET versions_since = now() - interval '1 day', options = '{\"keep_versions\": 864000}' WHERE id = %(s)s",
        stream,
    )
    customers.database.run(
        "INSERT INTO record_versions (stream_id, key, raw, content_hash, observed_at, first_seen_at, valid_from, valid_to,"
        ' cause_id, change_kind, ended_by) SELECT stream_id, key, \'{"state": "old"}\', content_hash, observed_at,'
        " now() - interval '20 h', now() - interval '20 h', now() - interval '1 h', cause_id, 'created',"
        " gen_random_uuid() FROM records WHERE stream_id = %(s)s",
        stream,
    )
    customers.database.run(
        "UPDATE records SET first_seen_at = now() - interval '20 h' WHERE stream_id = %(s)s", stream
    )
    assert api.read(f"{RECORDS}/k")["record"] == {"state": "new"}
    assert api.read(f"{RECORDS}/k", as_of="2h")["record"] == {"state": "old"}
    assert api.read(RECORDS, as_of="2h")["records"][0]["record"] == {"state": "old"}
    assert api.get(f"{RECORDS}/k", as_of="22h").status_code == 404
    assert api.get(f"{RECORDS}/k", as_of="2d").json()["code"] == "beyond_versions"


def test_a_record_is_erased_and_may_come_back(
    api: Application, customers: Customers, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    key = tmp_path / "privacy"
    key.write_text("k" * 40)
    key.chmod(0o600)
    monkeypatch.setenv("HEADRACE_PRIVACY_KEY", f"file://{key}")
    add(customers, "pl4nted-k3y")
    answer = api.post(f"{PLACE}/erasures", {"key": "pl4nted-k3y", "reason": "as asked"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["erased"]
    acts = customers.database.all(
        "SELECT action, connection_id, detail::text FROM audit WHERE action ~ '^record'"
    )
    assert [(act["action"], act["connection_id"]) for act in acts] == [
        ("record.erase", customers.connections["acme"])
    ]
    assert "pl4nted-k3y" not in str(acts)
    assert api.ask("DELETE", f"{PLACE}/erasures", params={"key": "pl4nted-k3y"}).json() == {"allowed": 1}
    again = api.ask("DELETE", f"{PLACE}/erasures", params={"key": "pl4nted-k3y"})
    assert (again.status_code, again.json()["code"]) == (404, "not_erased")


def test_without_a_privacy_key_nothing_can_be_erased(
    api: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADRACE_PRIVACY_KEY", raising=False)
    for answer in (
        api.post(f"{PLACE}/erasures", {"key": "WO-1"}),
        api.ask("DELETE", f"{PLACE}/erasures", params={"key": "WO-1"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "no_privacy_key")


def test_it_is_told_what_a_connection_takes_and_how_far_it_is_read(
    api: Application, customers: Customers
) -> None:
    add(customers, "k")
    [stream] = api.read("/v1/connections/acme/storage")["streams"]
    assert (stream["connection"], stream["stream"], stream["records"]["rows"]) == ("acme", STREAM, 1)
    assert api.read("/v1/storage")["bytes"] > 0
    [cursor] = api.read("/v1/connections/acme/cursors")["cursors"]
    assert cursor["stream"] == STREAM


def test_the_systems_are_told_with_what_they_need_and_can(api: Application, customers: Customers) -> None:
    systems = api.read("/v1/systems")["systems"]
    assert [each["system"] for each in systems] == sorted(each["system"] for each in systems)
    demo = api.read("/v1/systems/demo")
    assert "base_url" in [setting["name"] for setting in demo["settings"]]
    assert [secret["name"] for secret in demo["secrets"]] >= ["token"]
    orders = next(stream for stream in demo["streams"] if stream["name"] == "work_orders")
    assert (orders["incremental"], orders["cursor"], orders["one_record"]) == (True, "time", True)
    assert api.get("/v1/systems/dmo").json()["code"] == "unknown_system"
    customers.database.run('UPDATE connections SET settings = \'{"base_url": "http://127.0.0.1:9"}\'')
    bound = api.read("/v1/connections/acme/capabilities")
    same = {name: value for name, value in orders.items() if name != "title"}
    found = next(stream for stream in bound["streams"] if stream["name"] == "work_orders")
    assert {name: value for name, value in found.items() if name != "title"} == same


def test_every_system_can_be_shown(api: Application) -> None:
    for system in api.read("/v1/systems")["systems"]:
        assert api.read(f"/v1/systems/{system['system']}")["title"] == system["title"]
