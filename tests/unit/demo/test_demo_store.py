"""Paging over the demo's records, and what a late commit lets be seen."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.embedded.demo.api.listing import BadQuery, Listing, answer, read_query
from scheduler.embedded.demo.plant.memory.shelf import Item, Shelf, Span
from scheduler.embedded.demo.plant.memory.store import Store
from scheduler.embedded.demo.plant.schema import ENTITIES, Change, iso

PARTS, ORDERS = ENTITIES["parts"], ENTITIES["work_orders"]


def shelf_of(rows: list[tuple[int, bool]]) -> Shelf:
    """Record n+1 has the moment and the deleted mark of row n."""
    shelf = Shelf()
    for number, (moment, deleted) in enumerate(rows, start=1):
        shelf.put(number, Item(moment, str(number).encode(), deleted))
    return shelf


def walk(shelf: Shelf, **query: str) -> list[int]:
    seen: list[int] = []
    while True:
        page = answer(read_query(query, ORDERS), shelf)
        seen += [int(row) for row in page.rows]
        if page.next_cursor is None:
            return seen
        query["cursor"] = page.next_cursor


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40),
    limit=st.integers(1, 7),
    since=st.none() | st.integers(0, 4),
    deleted=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_paging_over_equal_times_gives_every_record_exactly_once(
    rows: list[tuple[int, bool]], limit: int, since: int | None, *, deleted: bool
) -> None:
    shelf = shelf_of(rows)
    query = {"limit": str(limit), "include_deleted": str(deleted).lower()}
    if since is not None:
        query["updated_since"] = iso(since)
    wanted = sorted(
        (moment, number)
        for number, (moment, gone) in enumerate(rows, start=1)
        if (deleted or not gone) and (since is None or moment >= since)
    )
    assert walk(shelf, **query) == [number for _, number in wanted]
    assert answer(read_query(query, ORDERS), shelf).more["total"] == len(wanted)


@given(count=st.integers(0, 30), size=st.integers(1, 7), newest_first=st.booleans())
@settings(deadline=None)
def test_pages_by_number_and_by_offset_cut_the_same_list(
    count: int, size: int, *, newest_first: bool
) -> None:
    shelf = shelf_of([(number % 3, False) for number in range(count)])
    sort = "-updated_at" if newest_first else "updated_at"
    by_page, by_offset = [], []
    for number in range(count // size + 1):
        page = {"page": str(number + 1), "per_page": str(size), "sort": sort}
        by_page += answer(read_query(page, ORDERS), shelf).rows
        offset = {"offset": str(number * size), "limit": str(size), "sort": sort}
        by_offset += answer(read_query(offset, ORDERS), shelf).rows
    everything = [row[2] for row in shelf.live]
    assert by_page == by_offset == (everything[::-1] if newest_first else everything)


@given(moves=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5), st.booleans()), max_size=60))
@settings(deadline=None)
def test_a_shelf_shows_the_last_version_of_each_record_in_order(moves: list[tuple[int, int, bool]]) -> None:
    shelf, last = Shelf(), {}
    for number, moment, deleted in moves:
        last[number] = Item(moment, f"{number} {moment}".encode(), deleted)
        shelf.put(number, last[number])
    assert shelf.everything == sorted((i.moment, n, i.raw) for n, i in last.items())
    assert shelf.live == sorted((i.moment, n, i.raw) for n, i in last.items() if not i.deleted)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"page": "0"}, "page"),
        ({"page": "1", "per_page": "501"}, "per_page"),
        ({"page": "1", "offset": "3"}, "offset"),
        ({"offset": "0", "cursor": "x"}, "cursor"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "ÿ"}, "cursor"),
        ({"cursor": "WzEsICJ4Il0"}, "cursor"),  # [1, "x"]: of an entity with other ids
        ({"cursor": "bnVsbA"}, "cursor"),
        ({"updated_since": "yesterday"}, "updated_since"),
        ({"updated_since": "2026-01-01T00:00:00"}, "updated_since"),
        ({"include_deleted": "1"}, "include_deleted"),
        ({"offset": "0", "sort": "title"}, "sort"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_parameter_is_named(query: dict[str, str], word: str) -> None:
    with pytest.raises(BadQuery, match=word):
        read_query(query, ORDERS)


def test_updated_since_reads_any_time_zone() -> None:
    assert read_query({"updated_since": "1970-01-01T01:00:00.005+01:00"}, PARTS) == Listing(
        "cursor", 100, Span(5), deleted=False
    )


def a_store(*names: str) -> Store:
    store = Store()
    changes = [Change("sites", None, {"name": name}) for name in names]
    store.apply(store.plan(changes, 1000))
    return store


def shown(store: Store) -> list[bytes]:
    return [row[2] for row in store.shelves["sites"].live]


def renamed(store: Store, name: str, moment: int) -> list[tuple[str, dict[str, Any]]]:
    return store.plan([Change("sites", "SITE-01", {"name": name})], moment)


def test_a_late_commit_shows_later_with_its_earlier_time() -> None:
    store = a_store("old")
    before = shown(store)
    store.apply(renamed(store, "new", 2000), visible_at=5000)
    store.settle(4999)
    assert shown(store) == before
    assert store.pending == 1
    store.settle(5000)
    assert b'"name":"new"' in shown(store)[0]
    assert iso(2000).encode() in shown(store)[0]
    assert store.pending == 0


def test_a_change_on_top_of_a_late_one_waits_for_it() -> None:
    store = a_store("old")
    store.apply(renamed(store, "second", 2000), visible_at=5000)
    store.apply(renamed(store, "third", 3000))
    assert b'"name":"old"' in shown(store)[0]
    store.settle(5000)
    assert b'"name":"third"' in shown(store)[0]
    store.apply(renamed(store, "fourth", 6000))
    assert b'"name":"fourth"' in shown(store)[0]


def test_a_plan_that_fails_changes_nothing() -> None:
    store = a_store("old")
    before = shown(store)
    with pytest.raises(KeyError):
        store.plan([Change("sites", "SITE-01", {"name": "x"}), Change("sites", "SITE-99", {})], 2000)
    assert shown(store) == before
    assert store.head("sites", "SITE-01") is not None


def test_a_deleted_record_is_a_tombstone_and_can_not_be_changed_again() -> None:
    store = a_store("old")
    store.apply(store.plan([Change("sites", "SITE-01", {}, "delete")], 2000))
    assert shown(store) == []
    (tombstone,) = store.shelves["sites"].everything
    assert f'"deleted_at":"{iso(2000)}"'.encode() in tombstone[2]
    with pytest.raises(KeyError):
        store.plan([Change("sites", "SITE-01", {})], 3000)


def test_several_records_made_at_once_get_ids_of_their_own() -> None:
    store = a_store("a", "b", "c")
    assert sorted(store.shelves["sites"].items) == ["SITE-01", "SITE-02", "SITE-03"]


def test_the_stamps_stay_last_when_a_field_is_added() -> None:
    store = a_store("old")
    store.apply(store.plan([Change("sites", "SITE-01", {"brand_new": 1})], 2000))
    head = store.head("sites", "SITE-01")
    assert head is not None
    assert list(head)[-4:] == ["brand_new", "created_at", "updated_at", "deleted_at"]
