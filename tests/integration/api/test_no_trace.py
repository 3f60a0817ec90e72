"""Every route, asked by somebody who sees one connection: not a word of what is written of the others, whatever is asked.

In each column of each table stands a word that says where it came from. It is looked for in all answers, refusals and
headers, for tokens that are limited by a tenant, by connections, and by their environment.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import uuid4

import pytest
from servers.postgres import PostgresServer
from servers.rows.customers import Customers, new_customers
from servers.rows.planted import MARK, plant

from scheduler.api.app import create_app
from scheduler.api.scopes import Door, doors_of
from worker.db.database import Database

pytestmark = pytest.mark.integration

OTHERS = ("brick", "own", "trial")
"""`acme` has no words in it, so that it can be asked for."""
TELLS = {
    "connections.name", "connections.labels", "connections.settings", "connections.secrets", "run_history.error",
    "records.raw", "quarantine.reason", "verifications.words", "tokens.owner", "connect_links.name", "events.error",
    "webhook_refusals.words", "subscriptions.url", "audit.target",
}  # fmt: skip
"""Some of what whoever sees everything must be told, or nothing would have been looked for."""


@dataclass
class Planted:
    customers: Customers
    doors: list[Door]
    words: set[str]

    def names(self, name: str) -> dict[str, str]:
        """The parameters of paths for what is of this connection: by numbers, which anybody may guess."""
        number = {"id": self.customers.connections[name]}
        tables = {"run_id": "run_history", "event_id": "events", "link_id": "connect_links"}
        found = {
            parameter: self.customers.database.all(
                f"SELECT id FROM {table} WHERE connection_id = %(id)s", number
            )
            for parameter, table in tables.items()
        }
        token = self.customers.database.all(
            "SELECT id FROM tokens WHERE connections = ARRAY[%(id)s::bigint]", number
        )
        stream = self.customers.database.all("SELECT name FROM streams WHERE connection_id = %(id)s", number)
        return {
            "connection_id": str(number["id"]), "token_id": str(token[0]["id"]), "stream": stream[0]["name"],
            "name": name, "key": "WO-1", "record_id": str(uuid4()), "model": "work_order", "system": "demo", "path": "workers",
            **{parameter: str(rows[0]["id"]) if rows else str(uuid4()) for parameter, rows in found.items()},
        }  # fmt: skip


@pytest.fixture(scope="module")
def planted(postgres_server: PostgresServer) -> Iterator[Planted]:
    with postgres_server.fresh_database() as url:
        database = Database(url, name="test", pool=4)
        customers = new_customers(database)
        plant(customers, "acme", words=False)
        words = set[str].union(*(plant(customers, name) for name in OTHERS))
        doors = [door for door in doors_of(create_app(database)) if not door.is_open]
        yield Planted(customers, doors, words)
        database.close()


def lists(planted: Planted, names: dict[str, str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """What is read without naming anything, and narrowed to what is of somebody else."""
    for door in planted.doors:
        if door.methods == {"GET"} and "{" not in door.path:
            yield "GET", door.path, {}
            for filters in (
                {"connection": names["connection_id"]},
                {"tenant": "brick"},
                {"environment": "test"},
                {"label": "region:south"},
            ):
                yield "GET", door.path, filters


def named(
    planted: Planted, names: dict[str, str], *, changes: bool
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """What names something. `changes`: also what would change it."""
    for door in planted.doors:
        (method,) = door.methods
        if "{" in door.path and (changes or method == "GET"):
            yield method, door.path.replace("{path:path}", "{path}").format(**names), {}


def told(
    planted: Planted, token: str, asked: Iterator[tuple[str, str, dict[str, str]]]
) -> Iterator[tuple[str, int, str]]:
    client = planted.customers.whole.shown(token)
    for method, path, params in asked:
        answer = client.ask(method, path, params=params or None)
        yield (
            f"{method} {path} {params or ''}",
            answer.status_code,
            answer.text + str(answer.headers.multi_items()),
        )


@pytest.mark.parametrize(
    ("limits", "sees"),
    [
        ({"tenants": ["acme"]}, ("acme",)),
        ({"connections": ["brick"]}, ("brick",)),
        ({"environment": "test"}, ("trial",)),
    ],
    ids=["a tenant", "a connection", "the other environment"],
)
def test_no_answer_has_a_word_of_what_is_not_seen(
    planted: Planted, limits: Any, sees: tuple[str, ...]
) -> None:
    token = planted.customers.token(**limits)
    hidden = [f"{MARK}-{name}-" for name in OTHERS if name not in sees]
    leaks = {}
    for name in ("acme", *OTHERS):
        names, own = planted.names(name), name in sees
        # Of what is theirs nothing is changed: there is more to look at. Of others' a change must be refused, too.
        mine = names if own else {**names, "stream": "orders", "name": "theirs"}
        asked = chain(named(planted, mine, changes=not own), () if own else lists(planted, names))
        for what, status, text in told(planted, token, asked):
            words = [word for word in hidden if word in text]
            if words or (status >= 500 and "/flower" not in what):
                leaks[what] = (status, words, text[:300])
    assert not leaks, "\n".join(f"{what}: {leak}" for what, leak in leaks.items())


def test_whoever_sees_all_that_is_live_is_told_it_and_nothing_of_test(planted: Planted) -> None:
    """What isn't shown to anybody can't be hidden from somebody."""
    token, heard = planted.customers.token(), ""
    for name in ("brick", "own"):
        names = planted.names(name)
        asked = chain(named(planted, names, changes=False), lists(planted, names))
        heard += "".join(text for _, _, text in told(planted, token, asked))
    assert {word for word in TELLS if f"{MARK}-brick-{word.replace('.', '-')}" not in heard} == set()
    assert f"{MARK}-trial-" not in heard
    assert len(planted.words) > 80
