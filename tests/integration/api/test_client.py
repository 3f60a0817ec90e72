"""The client against the routes themselves: whatever one side renames, the other notices here."""

from collections.abc import Iterator

import pytest
from servers.installation.api import TOKEN
from servers.rows.customers import STREAM, Customers

from scheduler.access.principal import Scope
from scheduler.client import Client, Denied, NotThere, Wrong
from scheduler.client.models import ListedConnection

NETWORK = {"ca": "file:///ca.pem", "proxy": "http://proxy.example:3128"}
ENTRY = {
    "name": "new",
    "system": "demo",
    "settings": {"base_url": "http://127.0.0.1:9"},
    "secrets": {"token": "env://T"},
    "network": NETWORK,
}


@pytest.fixture
def client(customers: Customers) -> Iterator[Client]:
    with Client("http://api", TOKEN, transport=customers.whole.transport) as made:
        yield made


def test_a_connection_is_made_changed_stopped_and_deleted(client: Client) -> None:
    made = client.create_connection(ENTRY)
    assert client.connection(made.id).network == NETWORK
    with pytest.raises(Wrong) as wrong:
        client.create_connection({**ENTRY, "name": "bad", "network": {"ca": "planted"}})
    assert (wrong.value.code, wrong.value.place) == ("plain_secret", "body.network.ca")
    assert wrong.value.request_id
    changed = client.change_connection("new", {"budget": "acme", "network": None}, etag=made.etag)
    assert (changed.budget, changed.network, changed.secrets) == ("acme", {}, made.secrets)
    with pytest.raises(Wrong) as stale:
        client.change_connection("new", {"budget": "late"}, etag=made.etag)
    assert stale.value.status == 412
    assert (client.pause("new").changed, client.pause("new").changed) == (True, False)
    assert {stream.name for stream in client.streams("new")} == set(changed.streams)
    assert client.delete_connection("new", data="delete").connection == "new"
    with pytest.raises(NotThere):
        client.connection("new")


def test_lists_are_whole_and_narrowed(client: Client, customers: Customers) -> None:
    assert {each.name for each in client.connections()} >= {"acme", "brick", "own"}
    assert [each.name for each in client.connections(tenant="acme", labels={"region": "north"})] == ["acme"]
    assert all(isinstance(each, ListedConnection) for each in client.connections())
    runs = list(client.runs(connection="acme"))
    assert {run.state for run in runs} == {"queued", "succeeded"}
    assert {client.run(run.id).connection for run in runs} == {"acme"}
    limited = Client("http://api", customers.token(tenants=["acme"]), transport=customers.whole.transport)
    assert [each.name for each in limited.connections()] == ["acme"]
    with pytest.raises(NotThere):
        limited.connection("brick")


def test_the_copy_is_read(client: Client) -> None:
    [record] = client.records("acme", STREAM)
    assert record == client.record("acme", STREAM, record.key)
    assert record.raw
    page = client.changes("beginning", connection="acme")
    assert [change["key"] for change in page.changes] == [record.key]
    assert client.changes(page.next, connection="acme").changes == []
    assert {each.stream for each in client.histories("acme")} == {STREAM}


def test_a_run_is_cancelled_by_whoever_may(client: Client, customers: Customers) -> None:
    [run] = client.runs(connection="brick", state="queued")
    reader = Client("http://api", customers.token(scopes=[Scope.READ]), transport=customers.whole.transport)
    with pytest.raises(Denied) as denied:
        reader.cancel_run(run.id)
    assert denied.value.code == "forbidden"
    assert client.cancel_run(run.id) == "cancelled"
