"""Tokens that are made, replaced and ended at once: each once, and nothing of what has ended makes more."""

import threading
from collections.abc import Callable

import pytest
from servers.rows.customers import Customers

from scheduler.access.audit import COMMAND_LINE
from scheduler.access.issuing.grants import own_grant
from scheduler.access.issuing.issue import issue, revoke, rotate
from scheduler.access.principal import Principal
from scheduler.access.store import find_principal

pytestmark = pytest.mark.integration


def somebody(customers: Customers) -> Principal:
    """An admin of live, by a token of their own."""
    who = find_principal(customers.database, customers.token(), None)
    assert who is not None
    return who


def test_two_who_replace_a_token_at_once_make_one(customers: Customers) -> None:
    old = issue(
        customers.database, COMMAND_LINE, None, name="twice", owner="o", grant=own_grant(somebody(customers))
    ).row["id"]
    codes = in_parallel(*[lambda: rotate(customers.database, COMMAND_LINE, None, old)] * 8)
    assert sorted(codes) == ["done", *["token_replaced"] * 7]
    assert len(customers.database.all("SELECT FROM tokens WHERE name = 'twice'")) == 2


def test_admins_who_replace_each_others_tokens_at_once_do_not_wait_for_ever(
    customers: Customers,
) -> None:
    """Each holds their own token while they change the other's."""
    one, two = somebody(customers), somebody(customers)
    codes = in_parallel(
        *[
            lambda: rotate(customers.database, COMMAND_LINE, one, two.token_id),
            lambda: rotate(customers.database, COMMAND_LINE, two, one.token_id),
        ]
        * 3
    )
    assert sorted(codes) == ["done", "done", *["token_replaced"] * 4]


@pytest.mark.parametrize("_round", range(5))
def test_a_token_that_is_being_ended_makes_nothing_that_stays(customers: Customers, _round: int) -> None:
    """However close the two come: what it made before it ended is ended with it, and afterwards it makes none."""
    who = somebody(customers)
    barrier = threading.Barrier(5)

    def make() -> None:
        barrier.wait(10)
        issue(customers.database, COMMAND_LINE, who, name="child", owner="o", grant=own_grant(who))

    def end() -> None:
        barrier.wait(10)
        revoke(customers.database, COMMAND_LINE, None, who.token_id, with_made=True)

    codes = in_parallel(make, make, end, make, make)
    assert set(codes) <= {"done", "token_ended"}
    left = customers.database.all(
        "SELECT FROM tokens WHERE created_by = %(id)s AND revoked_at IS NULL", {"id": who.token_id}
    )
    assert left == []


def in_parallel(*works: Callable[[], object]) -> list[str]:
    """How each of them ended."""
    codes: list[str] = []

    def go(work: Callable[[], object]) -> None:
        try:
            work()
            codes.append("done")
        except Exception as exc:  # noqa: BLE001 - what it was is looked at
            codes.append(getattr(exc, "code", repr(exc)))

    threads = [threading.Thread(target=go, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return codes
