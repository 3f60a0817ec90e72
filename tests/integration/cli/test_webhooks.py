"""`headrace webhooks`: what came, what was missed, and registration at the system."""

import pytest
from servers.installation.commands import Command
from servers.rows.customers import Customers, new_customers

from worker.db.database import Database

pytestmark = pytest.mark.integration


@pytest.fixture
def told(headrace: Command, database_url: str) -> tuple[Command, Customers]:
    database = Database(database_url, name="test", pool=2)
    customers = new_customers(database)
    for name in ("acme", "brick"):
        database.run(
            "INSERT INTO webhook_counts (connection_id, stream_id, received, told, missed) VALUES (%(c)s, %(s)s, 9, 3, 1)",
            {"c": customers.connections[name], "s": customers.streams[name]},
        )
    database.run(
        """UPDATE connections SET secrets = '{"webhook_secret": "env://HOOK"}' WHERE name = 'acme'"""
    )
    for connection, name in ((customers.connections["acme"], "acme"), (None, "acmee")):
        database.run(
            "INSERT INTO webhook_refusals (connection_id, name, reason, words, request_id)"
            " VALUES (%(c)s, %(n)s, 'bad_signature', 'No signature is right.', 'r')",
            {"c": connection, "n": name},
        )
    database.run("INSERT INTO webhook_counts (connection_id, refused) VALUES (0, 1234)")
    database.close()
    return headrace, customers


def test_webhooks_are_shown_registered_and_unregistered(
    told: tuple[Command, Customers], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, customers = told
    whole = command("webhooks")
    assert whole.code == 0
    assert [line.split()[:2] for line in whole.out.splitlines()[1:]] == [["acme", "9"], ["brick", "9"]]
    assert "25.0%" in whole.out
    assert "1,234 came for a name that no connection has" in whole.err
    assert "1,234" not in command("webhooks", "--tenant", "acme").err
    assert [row["connection"] for row in command("webhooks", "--tenant", "brick", "--json").json] == ["brick"]
    one = command("webhooks", "acme", "--days", "1")
    assert {"acme", "orders", "25.0%", "schedule"} <= set(one.out.split())
    assert command("webhooks", "acme", "--json").json["streams"][0]["missed"] == 1
    assert "never" in command("webhooks", "own").out

    refused = command("webhooks", "--refused", "--json").json
    assert {(row["name"], row["connection"], row["reason"]) for row in refused} == {
        ("acmee", None, "bad_signature"),
        ("acme", "acme", "bad_signature"),
    }  # of one millisecond, in any order
    assert "nobody's" in command("webhooks", "--refused").out
    assert [row["name"] for row in command("webhooks", "acme", "--refused", "--json").json] == ["acme"]
    assert "No webhook was refused" in command("webhooks", "brick", "--refused").out

    assert command("webhooks", "nobody").code == 3
    for wrong in (
        ["--register"],
        ["acme", "--register", "--unregister"],
        ["acme", "--days", "0"],
        ["--refused", "--tenant", "acme"],
    ):
        assert command("webhooks", *wrong).code == 2, wrong
    nowhere = command("webhooks", "acme", "--register")
    assert (nowhere.code, "HEADRACE_PUBLIC_URL" in nowhere.err) == (2, True)
    monkeypatch.setenv("HEADRACE_PUBLIC_URL", "https://headrace.example.com/")
    asked = command("webhooks", "acme", "--register")
    assert f"https://headrace.example.com/webhooks/{customers.connections['acme']}" in asked.err
    assert "wanted" in asked.out
    assert "secrets.webhook_secret" in command("webhooks", "brick", "--register").err
    gone = command("webhooks", "acme", "--unregister", "--json")
    assert gone.json["registration"]["state"] == "removing"


def test_before_anything_came_it_says_where_to_begin(headrace: Command) -> None:
    assert "docs/webhooks.md" in headrace("webhooks").out
    assert headrace("webhooks", "--json").json == []
