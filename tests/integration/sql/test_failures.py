"""What a run learns where a Postgres says no, is slow, breaks off or isn't there."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from servers.systems.databases import Read, Reading, source_at
from servers.waiting import wait_until

from worker.connectors.contract import Window
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.http.proof import LoginRefused
from worker.sql import carrier
from worker.sql.pool import process

pytestmark = pytest.mark.integration

ORDERS = {"orders": {"table": "orders", "key": "id", "rows": 2}}
READERS = (
    "select pid from pg_stat_activity where application_name = 'headrace' and datname = current_database()"
)


def fill(source: psycopg.Connection[Any]) -> None:
    source.execute(
        "create table orders (id int primary key, amount numeric, updated_at timestamptz default now())"
    )
    source.execute("insert into orders select i from generate_series(1, 5) i")


def refusal(reader: Reading, stream: str, window: Window = Window()) -> HeadraceError:  # noqa: B008 - frozen
    with pytest.raises(HeadraceError) as caught:
        reader.records(stream, window)
    return caught.value


@pytest.mark.parametrize(
    ("stream", "code", "hint"),
    [
        ({"table": "order", "key": "id"}, "no_table", "'orders'"),
        ({"table": "plant.orders", "key": "id"}, "no_table", None),
        ({"table": "orders", "key": "ids"}, "no_column", "'id'"),
        (
            {"table": "orders", "key": "id", "incremental": {"field": "update_at"}},
            "no_column",
            "'updated_at'",
        ),
        ({"table": "orders", "key": "id", "fields": ["amounts"]}, "no_column", "'amount'"),
        ({"query": "select id form orders", "key": "id"}, "bad_query", "query"),
        ({"query": "select 1 as id, 2 as id", "key": "id"}, "bad_query", "name of its own"),
        ({"query": "select 1 as id) x; drop table orders; --", "key": "id"}, "bad_query", None),
        ({"query": "select write_it() as id", "key": "id"}, "bad_query", None),
        ({"query": "select nextval('numbers') as id", "key": "id"}, "bad_query", None),
        ({"query": "select 1/(id - 3) as id from orders", "key": "id"}, "bad_value", None),
    ],
)
def test_what_is_not_there_or_not_understood_is_said_with_what_was_meant(
    source: psycopg.Connection[Any], reads: Read, stream: dict[str, Any], code: str, hint: str | None
) -> None:
    fill(source)
    source.execute("create sequence numbers")
    source.execute("create function write_it() returns int language sql as 'delete from orders returning id'")
    error = refusal(reads({"it": stream}), "it")
    assert isinstance(error, NeedsOperator)
    assert error.code == code
    assert hint is None or hint in (error.hint or "")
    assert source.execute("select count(*) from orders").fetchone() == (5,)


def test_a_column_that_goes_while_its_table_is_read_is_left_out_from_there_on(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    fill(source)
    reader = reads(ORDERS)
    pages = reader.pages("orders")
    assert b"amount" in next(pages).records[0].raw
    source.execute("alter table orders drop column amount")
    rest = [record for page in pages for record in page.records]
    assert [record.key for record in rest] == ["3", "4", "5"]
    assert b"amount" not in rest[0].raw
    source.execute("alter table orders add column weight int")
    assert b"weight" in reader.records("orders")[0].raw
    source.execute("alter table orders rename column id to number")
    error = refusal(reader, "orders")
    assert (error.code, isinstance(error, NeedsOperator)) == ("no_column", True)


@contextmanager
def role(source: psycopg.Connection[Any], reader: Reading, name: str = "reader") -> Iterator[str]:
    """A user of the database with little rights; the URL of it."""
    source.execute(f"create role {name} login password 'planted-reader'")
    try:
        yield reader.source.base_url.replace("//headrace@", f"//{name}:planted-reader@")
    finally:
        process().pool.close()
        source.execute(f"drop owned by {name}")
        source.execute(f"drop role {name}")


def test_a_table_that_its_user_may_not_read_is_said(source: psycopg.Connection[Any], reads: Read) -> None:
    fill(source)
    with role(source, reads(ORDERS)) as url:
        reader = Reading(source_at(url, ORDERS))
        error = refusal(reader, "orders")
        assert (error.code, isinstance(error, NeedsOperator)) == ("permission_denied", True)
        source.execute("grant select on orders to reader")
        assert len(reader.records("orders")) == 5


def test_a_wrong_password_is_a_refused_log_in_and_stands_nowhere(
    source: psycopg.Connection[Any], reads: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = reads(ORDERS)
    monkeypatch.setenv("SOURCE_PASSWORD", "planted-wrong")
    error = refusal(reader, "orders")
    assert isinstance(error, LoginRefused)
    assert error.code == "auth_refused"
    assert "planted-wrong" not in str(error)


@pytest.mark.parametrize(
    ("old", "new", "kind", "code"),
    [
        ("/test_", "/no_such_", NeedsOperator, "no_database"),
        ("127.0.0.1:", "127.0.0.1:1", Transient, "unreachable"),
        ("127.0.0.1:", "no-such-host.invalid:", Transient, "unreachable"),
        ("sslmode=disable", "sslmode=require", NeedsOperator, "tls_failed"),
        ("sslmode=disable", "sslrootcert=/etc/passwd", NeedsOperator, "bad_address"),
        ("sslmode=disable", "hostaddr=169.254.169.254", NeedsOperator, "bad_address"),
        ("127.0.0.1", "169.254.169.254", NeedsOperator, "address_refused"),
        ("postgresql:", "mssql:", NeedsOperator, "bad_address"),
    ],
)
def test_a_database_that_is_not_there_or_may_not_be_gone_to(
    empty_database_url: str, reads: Read, old: str, new: str, kind: type[HeadraceError], code: str
) -> None:
    reader = reads(ORDERS)
    url = reader.source.base_url
    changed = url.replace(old, new)
    if new == "127.0.0.1:1":
        changed = url.replace(url.split(":")[2].split("/")[0], "1")
    error = refusal(Reading(source_at(changed, ORDERS)), "orders")
    assert (isinstance(error, kind), error.code) == (True, code)


def test_where_only_public_addresses_are_allowed_a_private_one_is_refused(reads: Read) -> None:
    error = refusal(reads(ORDERS, given={"network": {"addresses": "public"}}), "orders")
    assert error.code == "address_refused"
    error = refusal(reads(ORDERS, given={"network": {"proxy": "http://proxy:3128"}}), "orders")
    assert error.code == "bad_network"


def test_a_statement_that_takes_too_long_is_given_up_on_both_sides(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    slow = {"slow": {"query": "select 1 as id from pg_sleep(60)", "key": "id"}}
    error = refusal(reads(slow, given={"timeout": 0.5}), "slow")
    assert (error.code, isinstance(error, Transient)) == ("timeout", True)
    assert source.execute(f"{READERS} and state = 'active'").fetchall() == []
    assert refusal(reads(slow, statement_timeout=1), "slow").code == "timeout"


def test_a_database_that_stands_still_is_left_alone(
    source: psycopg.Connection[Any], reads: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing answers, not even that time is out: the connection is cut here."""
    monkeypatch.setattr(carrier, "GRACE", 0.1)
    fill(source)
    reader = reads(ORDERS, given={"timeout": 1.0})
    next(reader.pages("orders"))
    pid = source.execute(READERS).fetchone()
    assert pid is not None
    os.kill(pid[0], signal.SIGSTOP)
    try:
        error = refusal(reader, "orders")
    finally:
        os.kill(pid[0], signal.SIGCONT)
    assert (error.code, isinstance(error, Transient)) == ("timeout", True)
    assert len(reader.records("orders")) == 5


def test_a_kept_connection_that_was_closed_meanwhile_costs_nothing_but_a_new_one(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    fill(source)
    pages = reads(ORDERS).pages("orders")
    seen = next(pages).keys
    source.execute(f"select pg_terminate_backend(pid, 5000) from ({READERS}) as readers")
    for page in pages:
        seen += page.keys
    assert seen == ["1", "2", "3", "4", "5"]


def test_a_connection_that_breaks_while_it_reads_is_gone_on_from_without_a_gap(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    fill(source)
    source.execute("create function break_it() returns bool language sql as"
                   " 'select pg_terminate_backend(pg_backend_pid())' volatile")  # fmt: skip
    stream = {"query": "select id from orders where id < 4 or break_it()", "key": "id", "rows": 2}
    reader = reads({"orders": stream})
    page = next(reader.pages("orders"))
    of = reader.source.stream("orders")
    with pytest.raises(Transient) as caught:
        reader.send(of.request(Window(), {"behind": ["3"]}))
    assert caught.value.code == "broken_answer"
    source.execute("create or replace function break_it() returns bool language sql as 'select true'")
    assert page.keys + [key for rest in reader.pages("orders", at=page.next) for key in rest.keys] == [
        "1", "2", "3", "4", "5",
    ]  # fmt: skip


def test_nothing_stays_open_at_the_database_but_an_idle_connection(
    source: psycopg.Connection[Any], reads: Read
) -> None:
    fill(source)
    reader = reads(ORDERS)
    reader.records("orders")
    refusal(reads({"it": {"table": "nothing", "key": "id"}}, given={"carrier": reader.carrier}), "it")
    assert source.execute(READERS.replace("pid", "state")).fetchall() == [("idle",)]
    reader.carrier.close()
    wait_until(lambda: source.execute(READERS).fetchall() == [], what="the connection to be closed")


def test_more_connections_than_a_database_takes_are_waited_for(
    source: psycopg.Connection[Any], reads: Read, empty_database_url: str
) -> None:
    reader = reads(ORDERS)
    with role(source, reader, "lonely") as url:
        source.execute("alter role lonely connection limit 1")
        held = conninfo_to_dict(url)
        with psycopg.connect(**held):
            error = refusal(Reading(source_at(url, ORDERS)), "orders")
    assert error.code == "rate_limited"
