"""A reader who remembers his position misses nothing, in whatever order transactions end."""

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from servers.postgres import PostgresServer
from servers.rows.feed import RUN, Copy, Reader, keys

from worker.errors import InvalidInput
from worker.feed.epoch import raise_floor
from worker.feed.horizon import status
from worker.feed.position import Place, Position
from worker.feed.reading import SCAN, Transaction, Wanted, look, read_changes

pytestmark = pytest.mark.integration


def test_changes_come_in_their_order_with_what_caused_them(copy: Copy) -> None:
    copy.write("a", 1)
    copy.write("b", 1, stream="parts")
    copy.write("a", 2)
    copy.write("b", stream="parts", reason="flag")
    page = copy.read()
    assert [(c["key"], c["kind"], c["stream"], c["connection"]) for c in page.changes] == [
        ("a", "updated", "orders", "plant"),
        ("b", "deleted", "parts", "plant"),
    ]
    assert page.changes[0]["cause_id"] == RUN
    assert page.changes[0]["raw"] == '{"id": "a", "value": 2}'
    assert page.changes[1]["delete_reason"] == "flag"
    assert not page.more
    assert keys(copy.read(page.next)) == []


def test_a_record_that_changes_again_moves_to_the_end(copy: Copy) -> None:
    copy.write("a", 1)
    first = copy.read()
    copy.write("a", 2)
    assert keys(copy.read(first.next)) == ["a"]
    assert keys(copy.read()) == ["a"]


def test_what_a_long_transaction_commits_late_is_not_skipped(copy: Copy) -> None:
    late = copy.begin()
    copy.write("late", tx=late)
    copy.write("soon")
    page = copy.read()
    assert keys(page) == []  # `soon` is behind a transaction that is open
    late.execute("COMMIT")
    assert keys(copy.read(page.next)) == ["late", "soon"]


def test_a_transaction_in_another_database_of_the_cluster_delays_and_never_skips(
    copy: Copy, postgres_server: PostgresServer
) -> None:
    with postgres_server.fresh_database(empty=True) as other:
        stranger = copy.begin(other)
        stranger.execute("CREATE TABLE busy ()")
        copy.write("a")
        held = copy.read()
        assert keys(held) == []
        found = status(copy.database)
        assert found.held_back == 1
        assert [(h.pid, h.seconds is not None) for h in found.holders] == [(stranger.info.backend_pid, True)]
        assert found.holders[0].database in str(found.holders[0])
        stranger.execute("ROLLBACK")
        assert keys(copy.read(held.next)) == ["a"]
        stranger.close()
    assert status(copy.database).held_back == 0


def test_numbers_that_a_process_reserved_long_ago_disturb_no_order(copy: Copy) -> None:
    """Each connection has a stock of numbers: whoever began late may have the lower ones."""
    low, high = copy.begin(), copy.begin()
    for connection in (low, high):
        connection.execute("SELECT nextval('record_change_seq')")
        connection.execute("COMMIT")
        connection.execute("BEGIN")
    copy.write("first", tx=high)
    high.execute("COMMIT")
    copy.write("second", tx=low)
    low.execute("COMMIT")
    page = copy.read(limit=1)
    assert keys(page) == ["first"]
    assert keys(copy.read(page.next, limit=1)) == ["second"]


def test_who_only_reads_holds_nobody_back(copy: Copy) -> None:
    reader = copy.begin()
    reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    reader.execute("SELECT count(*) FROM records")
    copy.write("a")
    assert keys(copy.read()) == ["a"]


def test_pages_follow_each_other_without_gap_or_repeat(copy: Copy) -> None:
    with copy.database.transaction() as tx:
        for n in range(25):
            copy.write(f"k{n:02}", stream=("orders", "parts")[n % 2], tx=tx)  # type: ignore[arg-type]
    seen: list[str] = []
    page = copy.read(limit=7)
    seen += keys(page)
    while page.more:
        page = copy.read(page.next, limit=7)
        seen += keys(page)
    assert seen == [f"k{n:02}" for n in range(25)]


def test_a_page_in_which_nothing_is_wanted_still_moves_on(copy: Copy) -> None:
    copy.write("a", stream="parts")
    copy.write("b", stream="parts", reason="flag")
    page = copy.read(**copy.stream("orders"))
    assert keys(page) == []
    assert not page.more
    assert page.next.place == look(copy.database).end
    copy.write("c")
    assert keys(copy.read(page.next, **copy.stream("orders"))) == ["c"]


def test_so_many_entries_are_looked_at_and_no_more(copy: Copy) -> None:
    copy.database.run(
        "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, cause_kind, cause_id, change_kind)"
        " SELECT s.bucket, s.id, n::text, '{}', gen_random_uuid(), now(), 'run', gen_random_uuid(), 'created'"
        " FROM streams s, generate_series(1, %(n)s) n WHERE s.name = 'orders'",
        {"n": SCAN + 1},
    )
    copy.write("gone", reason="flag")
    page = copy.read(kinds=["deleted"])
    assert (keys(page), page.more) == ([], True)
    page = copy.read(page.next, kinds=["deleted"])
    assert (keys(page), page.more) == (["gone"], False)


def test_a_page_is_bounded_in_size_and_one_large_change_is_taken_all_the_same(copy: Copy) -> None:
    copy.database.run("ALTER TABLE records_03 ALTER COLUMN raw SET STORAGE EXTERNAL")  # not compressed
    for key in "abc":
        copy.write(key, "x" * 1_500_000)
    page = copy.read()
    assert (keys(page), page.more) == (["a", "b"], True)
    copy.write("huge", "x" * 9_000_000)
    page = copy.read(page.next)
    assert (keys(page), page.more) == (["c"], True)
    assert keys(copy.read(page.next)) == ["huge"]


def test_a_stream_that_is_added_while_somebody_waits_for_its_connection_is_not_passed_by(copy: Copy) -> None:
    row = copy.database.one("SELECT id FROM connections WHERE name = 'plant'")
    assert row is not None
    for what in (Wanted(connection_id=row["id"]), Wanted(stream="sites")):
        start = read_changes(copy.database, None, what, limit=10).next
        copy.database.run(
            "INSERT INTO streams (connection_id, name, bucket, schedule)"
            " VALUES (%(of)s, 'sites', 9, '{\"every\": 900}') ON CONFLICT DO NOTHING",
            {"of": row["id"]},
        )
        copy.write("new", stream="sites")
        assert keys(read_changes(copy.database, start, what, limit=10)) == ["new"]


def test_of_an_erased_record_nothing_comes_out_but_its_key(copy: Copy) -> None:
    copy.write("person", "planted words", reason="erased")
    [change] = copy.read().changes
    assert (change["kind"], change["delete_reason"], change["raw"]) == ("deleted", "erased", None)


def test_a_place_that_the_feed_has_not_come_to_is_refused(copy: Copy) -> None:
    copy.write("a")
    feed = look(copy.database)
    for place in (Place(feed.epoch, feed.horizon, 0), Place(feed.epoch + 1, 1, 1)):
        with pytest.raises(InvalidInput) as refusal:
            copy.read(Position(place))
        assert refusal.value.code == "bad_position"


def forget(copy: Copy, key: str) -> None:
    """As tombstones are pruned."""
    with copy.database.transaction() as tx:
        row = tx.execute(
            "DELETE FROM records WHERE key = %s RETURNING change_xid::text AS xid, change_seq AS seq", (key,)
        ).fetchone()
        assert row is not None
        raise_floor(tx, row["xid"], row["seq"])


def test_who_has_not_seen_a_deletion_that_was_forgotten_must_begin_again(copy: Copy) -> None:
    copy.write("a")
    before = copy.read().next
    copy.write("a", reason="flag")
    after = copy.read(before).next
    copy.write("b")
    forget(copy, "a")
    with pytest.raises(InvalidInput) as refusal:
        copy.read(before)
    assert refusal.value.code == "position_expired"
    assert "from the beginning" in str(refusal.value.hint)
    assert keys(copy.read(after)) == ["b"]
    assert keys(copy.read()) == ["b"]


def test_a_snapshot_that_is_being_read_is_not_disturbed_by_what_was_gone_when_it_began(copy: Copy) -> None:
    copy.write("a")
    copy.write("b")
    copy.write("old", reason="flag")
    page = copy.read(limit=1)
    forget(copy, "old")
    assert keys(page) == ["a"]
    assert keys(copy.read(page.next)) == ["b"]


def test_a_snapshot_must_begin_again_where_a_record_it_holds_was_deleted_and_forgotten_meanwhile(
    copy: Copy,
) -> None:
    copy.write("a")
    copy.write("b")
    page = copy.read(limit=1)
    copy.write("a", reason="flag")
    forget(copy, "a")
    with pytest.raises(InvalidInput) as refusal:
        copy.read(page.next)
    assert refusal.value.code == "position_expired"


def test_what_is_forgotten_while_a_page_is_read_stands_in_it(copy: Copy) -> None:
    """The end of the feed and its page are seen at one moment: else the position would pass by the deletion."""
    copy.write("a")
    start = copy.read().next
    copy.write("a", reason="flag")

    def meanwhile(_: Transaction) -> Wanted:
        forget(copy, "a")
        return Wanted()

    assert keys(read_changes(copy.database, start, meanwhile, limit=10)) == ["a"]


def test_the_floor_is_never_lowered(copy: Copy) -> None:
    with copy.database.transaction() as tx:
        raise_floor(tx, 900, 5)
        raise_floor(tx, 800, 9)
    floor = look(copy.database).floor
    assert (floor.xid, floor.seq) == (900, 5)


def test_what_is_left_of_a_removed_connection_is_passed_over(copy: Copy) -> None:
    copy.write("a", stream="parts")
    copy.write("b")
    copy.write("c", stream="parts")
    copy.database.run("DELETE FROM streams WHERE name = 'parts'")
    page = copy.read()
    assert (keys(page), page.more) == (["b"], False)
    copy.database.run("DELETE FROM streams")
    assert keys(copy.read()) == []


class Overlapping(RuleBasedStateMachine):
    """Transactions that begin, write and end in any order, and readers that look in between."""

    copy: Copy

    def __init__(self) -> None:
        super().__init__()
        self.copy.database.run("TRUNCATE records")
        self.open: list[psycopg.Connection] = []
        self.locked: dict[str, psycopg.Connection] = {}
        self.value = 0

    @initialize()
    def readers(self) -> None:
        everything = Reader(self.copy, limit=2)
        orders = Reader(self.copy, limit=1, **self.copy.stream("orders"))
        self.readers_ = {"everything": everything, "orders": orders}

    @precondition(lambda self: len(self.open) < 3)
    @rule()
    def begin(self) -> None:
        self.open.append(self.copy.begin())

    def _key(self, key: str, tx: psycopg.Connection | None) -> bool:
        """A record that another transaction holds can't be written now."""
        if self.locked.get(key, tx) is not tx:
            return False
        if tx is not None:
            self.locked[key] = tx
        self.value += 1
        return True

    @rule(key=st.sampled_from("abcdef"), pick=st.integers(0, 2), gone=st.booleans())
    def write(self, key: str, pick: int, gone: bool) -> None:
        tx = self.open[pick] if pick < len(self.open) else None
        if self._key(key, tx):
            stream = "orders" if key < "d" else "parts"
            self.copy.write(key, self.value, stream=stream, reason="flag" if gone else None, tx=tx)

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 2), commit=st.booleans())
    def end(self, pick: int, commit: bool) -> None:
        tx = self.open.pop(pick % len(self.open))
        tx.execute("COMMIT" if commit else "ROLLBACK")
        tx.close()
        self.locked = {key: holder for key, holder in self.locked.items() if holder is not tx}

    @rule(who=st.sampled_from(["everything", "orders"]))
    def read(self, who: str) -> None:
        self.readers_[who].read()

    @invariant()
    def a_reader_never_knows_what_is_not_there(self) -> None:
        if self.open:
            return
        state = self.copy.state()
        fresh = Reader(self.copy, limit=4)
        fresh.catch_up()
        assert fresh.knows == state  # the feed, replayed from zero, is the copy

    def teardown(self) -> None:
        for tx in self.open:
            tx.execute("COMMIT")
            tx.close()
        state = self.copy.state()
        for name, reader in self.readers_.items() if hasattr(self, "readers_") else ():
            reader.catch_up()
            wanted = {k: v for k, v in state.items() if name == "everything" or k[0] == "orders"}
            assert reader.knows == wanted


def test_overlapping_transactions_never_hide_a_final_state(copy: Copy) -> None:
    class Machine(Overlapping):
        pass

    Machine.copy = copy
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=15, stateful_step_count=25, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
