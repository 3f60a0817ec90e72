"""After a restore, old positions repeat and never skip; a reader of the new epoch ends with what the copy holds."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql
from servers.postgres import PostgresServer, at_database
from servers.rows.feed import Copy, Reader, keys

from scheduler.embedded.binaries import find_postgres
from scheduler.embedded.postgres.server import EmbeddedPostgres
from worker.db.database import Database
from worker.errors import InvalidInput, Transient
from worker.feed.epoch import BATCH, keep_epoch, raise_floor
from worker.feed.position import Place, Position
from worker.feed.reading import look

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def second_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A cluster that has hardly begun to count transactions."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("second"), fast=True)
    server = PostgresServer(embedded)
    try:
        embedded.start()
        yield server
    finally:
        server.close()
        embedded.delete()


def spend_transactions(database: Database, many: int) -> None:
    """Move the cluster's transaction numbers on."""
    database.run(
        f"DO $$ BEGIN FOR n IN 1..{many} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    )


def restore(source: str, target: PostgresServer, name: str) -> str:
    """What an operator does: dump one, restore into the other."""
    binaries = find_postgres(target.embedded._version).folder
    if not (binaries / "pg_dump").exists():
        pytest.skip("pg_dump is not among the binaries; a Postgres that has it: apt install postgresql")
    target.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    target.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    url = at_database(target.url, name)
    dumped = subprocess.run(
        [binaries / "pg_dump", "--no-owner", "--no-privileges", source], capture_output=True, check=True
    )
    said = subprocess.run(
        [binaries / "psql", "-q", "-v", "ON_ERROR_STOP=1", url],
        input=dumped.stdout,
        capture_output=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr.decode()
    return url


def test_a_dump_restored_into_a_younger_cluster_goes_on_without_a_gap(
    copy: Copy, second_cluster: PostgresServer
) -> None:
    spend_transactions(copy.database, 20_000)
    for n in range(10):
        copy.write(f"k{n}", n)
    copy.write("k3", reason="flag")
    reader = Reader(copy)
    reader.catch_up()
    old = reader.position
    assert old is not None
    url = restore(copy.url, second_cluster, "restored")
    restored = Database(url, name="test", pool=4)
    try:
        there = Copy.at(restored, url)
        with pytest.raises(Transient, match="numbered anew"):
            there.read(old)
        there.write("k4", "after the restore")  # while its place is far below what the old reader has seen
        assert not keep_epoch(restored, seconds=0.0) or look(restored).epoch == old.place.epoch + 1
        while not keep_epoch(restored):
            pass
        assert look(restored).epoch == old.place.epoch + 1
        assert look(restored).end.xid < look(restored).horizon < old.place.xid
        there.write("k5", "later")
        again = Reader(there)
        again.position, again.knows = old, reader.knows
        again.catch_up()
        assert again.knows == there.state()
        assert again.knows["orders", "k4"] == "after the restore"
        fresh = Reader(there)
        fresh.catch_up()
        assert fresh.knows == there.state()
    finally:
        restored.close()


def test_places_are_renewed_in_their_old_order(copy: Copy, second_cluster: PostgresServer) -> None:
    spend_transactions(copy.database, 20_000)
    order = ["c", "a", "d", "b"]
    for key in order:
        copy.write(key, stream="orders" if key < "c" else "parts")
    restored = Database(url := restore(copy.url, second_cluster, "ordered"), name="test", pool=2)
    try:
        assert keep_epoch(restored, seconds=5.0)
        assert keys(Copy.at(restored, url).read()) == order
    finally:
        restored.close()


def test_a_dump_restored_beside_itself_is_another_epoch_too(
    copy: Copy, postgres_server: PostgresServer
) -> None:
    copy.write("a")
    seen = copy.read().next
    url = restore(copy.url, postgres_server, "beside")
    copy.write("b")  # in the first database: the numbers of the second go on behind it
    beside = Database(url, name="test", pool=2)
    try:
        there = Copy.at(beside, url)
        assert keys(there.read(seen)) == ["a"]
        assert look(beside).epoch == seen.place.epoch + 1
    finally:
        beside.close()
        postgres_server.execute(sql.SQL("DROP DATABASE beside WITH (FORCE)"))


def as_if_moved(database: Database, part: int = 0) -> None:
    """As after a failover: one part of the identity is another."""
    row = database.one("SELECT headrace_cluster() AS identity")
    assert row is not None
    parts = row["identity"].split("/")
    parts[part] = "77"
    database.run("UPDATE feed_state SET identity = %(identity)s", {"identity": "/".join(parts)})


@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_whatever_part_of_the_identity_differs_opens_an_epoch(copy: Copy, part: int) -> None:
    copy.write("a")
    seen = copy.read().next
    as_if_moved(copy.database, part)
    assert keep_epoch(copy.database)
    assert keys(copy.read(seen)) == ["a"]


def test_a_record_that_somebody_writes_meanwhile_is_left_to_him(copy: Copy) -> None:
    copy.write("a")
    copy.write("b")
    seen = copy.read().next
    copy.database.run("UPDATE records SET change_xid = '900000000000'")
    as_if_moved(copy.database)
    writer = copy.begin()
    copy.write("a", 2, tx=writer)
    assert not keep_epoch(copy.database, seconds=0.2)
    with pytest.raises(Transient):
        copy.read(seen)
    writer.execute("COMMIT")
    assert keep_epoch(copy.database)
    assert sorted(keys(copy.read(seen))) == ["a", "b"]


def test_many_places_are_renewed_in_batches(copy: Copy) -> None:
    copy.read()
    copy.database.run(
        "INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, cause_kind, cause_id, change_kind,"
        " change_xid) SELECT s.bucket, s.id, n::text, '{}', gen_random_uuid(), now(), 'run', gen_random_uuid(),"
        " 'created', '900000000000' FROM streams s, generate_series(1, %(n)s) n WHERE s.name = 'orders'",
        {"n": BATCH + 1},
    )
    as_if_moved(copy.database)
    assert not keep_epoch(copy.database, seconds=0.0)
    assert keep_epoch(copy.database, seconds=60.0)
    total, page = 0, copy.read(limit=1000, content=False)
    while True:
        total += len(page.changes)
        if not page.more:
            break
        page = copy.read(page.next, limit=1000, content=False)
    assert total == BATCH + 1


def test_two_at_once_renew_once(copy: Copy) -> None:
    copy.read()
    as_if_moved(copy.database)
    with copy.database.transaction() as tx:
        tx.execute("SELECT pg_advisory_xact_lock(7433110913)")
        assert not keep_epoch(copy.database)
    assert keep_epoch(copy.database)
    epoch = look(copy.database).epoch
    assert keep_epoch(copy.database)
    assert look(copy.database).epoch == epoch


def test_what_was_forgotten_before_a_restore_still_counts(copy: Copy) -> None:
    copy.write("a")
    before = copy.read().next
    copy.write("b")
    after = copy.read().next
    with copy.database.transaction() as tx:
        raise_floor(tx, after.place.xid, after.place.seq)
    as_if_moved(copy.database)
    assert keep_epoch(copy.database)
    with pytest.raises(InvalidInput) as refusal:
        copy.read(before)
    assert refusal.value.code == "position_expired"
    assert len(keys(copy.read(after))) == 2
    with copy.database.transaction() as tx:
        raise_floor(tx, 1, 1)  # in the new epoch: whoever comes from the old one may have missed it
    with pytest.raises(InvalidInput):
        copy.read(after)
    assert copy.read()


def test_a_bound_of_another_epoch_passes_nothing_by(copy: Copy) -> None:
    """As of a replay that was under way: the numbers of that cluster say nothing in this one."""
    copy.write("a")
    seen = copy.read().next
    later = datetime.now(UTC) + timedelta(hours=1)
    bound = {"since": later, "until": Place(seen.place.epoch, 900_000_000_000, 1)}
    assert keys(copy.read(**bound)) == []
    as_if_moved(copy.database)
    assert keep_epoch(copy.database)
    assert keys(copy.read(seen, **bound)) == ["a"]


def test_a_server_that_hides_its_number_is_known_by_the_rest(copy: Copy, feed_url: str) -> None:
    copy.write("a")
    copy.read()
    name = psycopg.conninfo.conninfo_to_dict(feed_url)["dbname"]
    copy.database.run(
        "DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN PASSWORD 'plain';"
        " GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain;"
        " REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public;"
        " REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM public"
    )
    info = psycopg.conninfo.conninfo_to_dict(feed_url)
    plain = Database(f"postgresql://plain:plain@{info['host']}:{info['port']}/{name}", name="plain", pool=1)
    try:
        row = plain.one("SELECT headrace_cluster() AS identity")
        assert row is not None
        assert row["identity"].startswith("-/-/")
        assert keys(Copy.at(plain, feed_url).read()) == ["a"]
        assert look(plain).epoch == 1
        copy.database.run("UPDATE feed_state SET identity = '-/-/1/2'")
        with pytest.raises(Exception, match="permission denied"):
            look(plain)  # it sees that this is another database, and may not mend it
    finally:
        plain.close()
        copy.database.run(
            "GRANT EXECUTE ON FUNCTION pg_control_system() TO public;"
            " GRANT EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) TO public;"
            " REVOKE ALL ON ALL TABLES IN SCHEMA public FROM plain; DROP ROLE plain"
        )


def test_what_could_not_be_read_before_is_noted_and_opens_nothing(copy: Copy) -> None:
    row = copy.database.one("SELECT headrace_cluster() AS identity")
    assert row is not None
    hidden = "-/" + row["identity"].partition("/")[2]
    copy.database.run("UPDATE feed_state SET identity = %(hidden)s", {"hidden": hidden})
    assert keep_epoch(copy.database)
    assert copy.database.one("SELECT epoch, identity FROM feed_state") == {
        "epoch": 1,
        "identity": row["identity"],
    }


def test_a_position_of_nowhere_never_waits_in_silence(copy: Copy) -> None:
    copy.write("a")
    with pytest.raises(InvalidInput):
        copy.read(Position(Place(1, 10**15, 0)))
