"""The feed, its readers and its subscriptions: each is told of what its token sees, and meets nobody else's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.installation.application import Application
from servers.postgres import PostgresServer
from servers.receiver import SECRET, Receiver, receiving
from servers.rows.customers import Customers, add_connection, new_customers

from worker.db.database import Database
from worker.outbound.deliver import deliver
from worker.outbound.post import Courier

pytestmark = pytest.mark.integration


@pytest.fixture
def customers(postgres_server: PostgresServer) -> Iterator[Customers]:
    with postgres_server.fresh_database() as url:
        database = Database(url, name="test", pool=4)
        yield new_customers(database)
        database.close()


def told_of(api: Application, **asked: Any) -> list[str]:
    """The connections of the changes of one page."""
    page = api.read("/v1/changes", **asked)
    return [change["connection"] for change in page["changes"]]


def test_changes_are_those_that_the_token_sees(customers: Customers) -> None:
    for limits, seen in (
        ({}, {"acme", "brick", "own"}),
        ({"environment": "test"}, {"trial"}),
        ({"tenants": ["acme"]}, {"acme"}),
        ({"connections": ["brick", "trial"]}, {"brick"}),
        ({"tenants": []}, set()),
    ):
        assert set(told_of(customers.api(**limits))) == seen
    api = customers.api(tenants=["acme"])
    assert told_of(api, stream="orders") == ["acme"]
    assert told_of(api, tenant="brick") == told_of(api, label="region:south") == []
    assert told_of(customers.api(), label="region:south") == ["brick"]
    assert api.get("/v1/changes", connection="brick").status_code == 404
    assert customers.api("test").get("/v1/changes", connection="live/own").status_code == 404


def test_whoever_waits_is_told_of_a_connection_that_its_tenant_has_got_meanwhile(
    customers: Customers,
) -> None:
    api = customers.api(tenants=["acme"])
    after = api.read("/v1/changes")["next"]
    add_connection(customers, "acme two", "live", "acme", {})
    add_connection(customers, "brick two", "live", "brick", {})
    assert told_of(api, after=after) == ["acme two"]


def test_a_page_of_only_what_is_not_seen_ends_further_on(customers: Customers) -> None:
    api = customers.api(tenants=["acme"])
    after = api.read("/v1/changes")["next"]
    customers.write("brick")
    page = api.read("/v1/changes", after=after)
    assert page["changes"] == []
    assert page["next"] != after


def test_tokens_that_see_the_same_share_readers_and_others_do_not_meet_them(customers: Customers) -> None:
    acme, again = (customers.api(tenants=["acme"]) for _ in range(2))
    brick, everything = customers.api(tenants=["brick"]), customers.api()
    for api in (acme, brick):
        assert api.ask("PUT", "/v1/consumers/erp", json={}).status_code == 200
    now = acme.read("/v1/changes")["next"]
    assert again.ask("PUT", "/v1/consumers/erp", json={"position": now}).json()["behind"]["changes"] == 0
    assert acme.read("/v1/consumers/erp")["position"] == now
    assert brick.read("/v1/consumers/erp")["position"] != now
    assert told_of(brick, consumer="erp") == ["brick"]
    for stranger in (everything, customers.api("test"), customers.api(connections=["acme"])):
        assert stranger.read("/v1/consumers")["consumers"] == []
        assert stranger.get("/v1/consumers/erp").status_code == 404
        assert stranger.get("/v1/changes", consumer="erp").status_code == 404
        assert stranger.ask("DELETE", "/v1/consumers/erp").status_code == 404
    assert len(acme.read("/v1/consumers")["consumers"]) == 1


def test_a_reader_of_another_is_not_reached_by_the_name_that_it_is_kept_under(customers: Customers) -> None:
    customers.api(tenants=["acme"]).ask("PUT", "/v1/consumers/erp", json={})
    [row] = customers.database.all("SELECT name FROM feed_consumers")
    kept = row["name"].replace("\n", "%0A")
    for api in (customers.api(), customers.api(tenants=["brick"])):
        assert api.get(f"/v1/consumers/{kept}").status_code == 404
        assert api.ask("PUT", f"/v1/consumers/{kept}", json={}).status_code == 422
        assert api.ask("DELETE", f"/v1/consumers/{kept}").status_code == 404


def test_how_far_behind_a_reader_is_counts_what_it_sees(customers: Customers) -> None:
    acme = customers.api(tenants=["acme"])
    acme.ask("PUT", "/v1/consumers/erp", json={"position": "now"})
    for name in ("brick", "own", "acme"):
        customers.write(name)
    assert acme.read("/v1/consumers/erp")["behind"]["changes"] == 1


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def courier() -> Iterator[Courier]:
    made = Courier(loopback=True)
    yield made
    made.close()


class Told:
    """A subscription that a token made, and what a worker delivers for it."""

    def __init__(
        self, customers: Customers, receiver: Receiver, courier: Courier, folder: Path, **body: Any
    ) -> None:
        self.customers, self.receiver, self.courier = customers, receiver, courier
        (folder / "secret").write_text(SECRET)
        self.body = {"name": "hooks", "url": receiver.url, "secret": f"file://{folder}/secret"} | body
        self.prefixes = [f"file://{folder}/"]

    def add(self, *, tenants: list[str] | None = None, **more: Any) -> Any:
        api = self.customers.api(tenants=tenants, secret_prefixes=self.prefixes)
        answer = api.ask("POST", "/v1/subscriptions", json=self.body | more)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def deliver(self, number: Any) -> list[str]:
        """The connections of what came."""
        before = len(self.receiver.events)
        deliver(self.customers.database, self.courier, number, dice=lambda: 0.0)
        return sorted(event["data"]["connection"] for event in self.receiver.events[before:])


@pytest.fixture
def told(customers: Customers, receiver: Receiver, courier: Courier, tmp_path: Path) -> Told:
    return Told(customers, receiver, courier, tmp_path)


def test_a_subscription_delivers_what_its_token_saw_and_later_connections_of_its_tenant(
    told: Told, customers: Customers
) -> None:
    number = told.add(tenants=["acme"], begin="beginning")
    assert told.deliver(number) == ["acme"]
    add_connection(customers, "acme two", "live", "acme", {})
    add_connection(customers, "brick two", "live", "brick", {})
    customers.write("brick")
    customers.write("trial")
    assert told.deliver(number) == ["acme two"]


def test_a_connection_that_went_to_another_tenant_is_told_of_no_more_not_even_what_waits(
    told: Told, customers: Customers
) -> None:
    told.receiver.answer = lambda _: 400
    number = told.add(tenants=["acme"], begin="beginning")
    assert told.deliver(number) == ["acme"]
    customers.database.run("UPDATE connections SET tenant = 'brick' WHERE name = 'acme'")
    customers.database.run("UPDATE pending_deliveries SET next_at = now()")
    customers.database.run("UPDATE subscriptions SET next_at = NULL, attempt = 0")
    customers.write("acme", 2)
    assert told.deliver(number) == []
    assert customers.database.all("SELECT key FROM pending_deliveries") == []


def test_a_subscription_to_labels_or_one_connection_stays_within_the_view(
    told: Told, customers: Customers
) -> None:
    api = customers.api(tenants=["acme"], secret_prefixes=told.prefixes)
    for more in ({"connection": "brick"}, {"connection": str(customers.connections["trial"])}):
        assert api.ask("POST", "/v1/subscriptions", json=told.body | more).status_code == 404
    south = told.add(name="south", begin="beginning", labels={"region": "south"})
    nothing = told.add(
        name="nothing", tenants=["acme"], begin="beginning", labels={"region": "south"}, tenant="brick"
    )
    assert told.deliver(south) == ["brick"]
    assert told.deliver(nothing) == []


def test_subscriptions_are_there_for_whoever_sees_all_that_they_tell_of(
    told: Told, customers: Customers
) -> None:
    acme, brick = told.add(tenants=["acme"]), told.add(tenants=["brick"])
    own = told.add()

    def listed(**limits: Any) -> list[int]:
        found = customers.api(**limits).read("/v1/subscriptions")["subscriptions"]
        return sorted(each["id"] for each in found)

    assert listed() == sorted([acme, brick, own])
    assert listed(tenants=["acme"]) == [acme]
    assert listed(tenants=["brick", "acme"]) == sorted([acme, brick])
    assert listed(environment="test") == listed(connections=["acme"]) == []
    api, stranger = customers.api(), customers.api(tenants=["brick"])
    assert api.read("/v1/subscriptions/hooks")["id"] == own
    assert stranger.read("/v1/subscriptions/hooks")["id"] == brick
    for path, method in (
        ("", "GET"),
        ("", "DELETE"),
        ("/pause", "POST"),
        ("/replay", "POST"),
        ("/test", "POST"),
    ):
        assert stranger.ask(method, f"/v1/subscriptions/{acme}{path}").status_code == 404
    assert api.ask("DELETE", "/v1/subscriptions/hooks").status_code == 204
    answer = api.get("/v1/subscriptions/hooks")
    assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_subscription")
    assert api.ask("POST", f"/v1/subscriptions/{acme}/pause").json()["state"] == "paused"
    assert stranger.read("/v1/subscriptions/hooks")["state"] == "active"


def test_what_the_command_line_made_is_seen_with_all_that_is_live_and_else_by_nobody(
    told: Told, customers: Customers
) -> None:
    customers.database.run(
        "INSERT INTO subscriptions (name, url, secret, position) VALUES ('old', 'http://x', 'env://X', '1.0.0')"
    )
    assert customers.api().get("/v1/subscriptions/old").status_code == 200
    for limits in (
        {"environment": "test"},
        {"tenants": ["acme"]},
        {"connections": ["acme"]},
        {"tenants": []},
    ):
        assert customers.api(**limits).get("/v1/subscriptions/old").status_code == 404


def test_a_token_signs_with_no_secret_that_is_not_its_own(told: Told, customers: Customers) -> None:
    for prefixes in (None, ["env://ACME_"]):
        api = customers.api(tenants=["acme"], secret_prefixes=prefixes)
        answer = api.ask("POST", "/v1/subscriptions", json=told.body)
        assert (answer.status_code, answer.json()["code"]) == (403, "secret_not_allowed")


def test_a_model_without_streams_has_no_records_for_whoever_sees_a_part(customers: Customers) -> None:
    page = customers.api(tenants=["acme"]).read("/v1/models/work_order")
    assert (page["records"], page["more"]) == ([], False)
