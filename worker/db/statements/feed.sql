-- How is the change feed read, and by whom?

-- name: begin_feed
-- One snapshot for what the feed is and for what is read of it: a tombstone that is forgotten in between would be missed.
-- A reader has no transaction number of its own, so it holds nobody back. Plans go by the index of the feed.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;

-- name: by_index
-- The same plans for who writes.
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;

-- name: feed_now
-- The epoch, the floor, the horizon, and the last change below it. All of a cluster's databases share transaction numbers,
-- so the horizon is the oldest writer of any of them.
SELECT f.epoch, f.identity, headrace_cluster() AS cluster, f.floor_epoch, f.floor_xid::text AS floor_xid, f.floor_seq,
       pg_snapshot_xmin(pg_current_snapshot())::text AS horizon,
       coalesce(e.change_xid, '0')::text AS end_xid, coalesce(e.change_seq, 0) AS end_seq
  FROM feed_state f
  LEFT JOIN LATERAL (
      SELECT r.change_xid, r.change_seq FROM records r
       WHERE r.change_xid < pg_snapshot_xmin(pg_current_snapshot())
       ORDER BY r.change_xid DESC, r.change_seq DESC LIMIT 1
  ) e ON true;

-- name: read_feed
-- A page: so many entries of the feed are looked at, and those that are wanted are taken until they are too many or too
-- large. The first row says how far the look went, also where nothing was wanted.
WITH scanned AS MATERIALIZED (
    SELECT r.bucket, r.stream_id, r.key, r.change_xid, r.change_seq, r.change_kind, r.deleted_at, r.observed_at,
           pg_column_size(r.raw) AS size
      FROM records r
     WHERE (r.change_xid, r.change_seq) > (%(xid)s::xid8, %(seq)s)
       AND r.change_xid < pg_snapshot_xmin(pg_current_snapshot())
       AND (%(buckets)s::smallint[] IS NULL OR r.bucket = ANY (%(buckets)s::smallint[]))
     ORDER BY r.change_xid, r.change_seq
     LIMIT %(scan)s
), wanted AS MATERIALIZED (
    SELECT s.*, sum(s.size) OVER (ORDER BY s.change_xid, s.change_seq) AS total
      FROM scanned s
     WHERE (%(streams)s::bigint[] IS NULL OR s.stream_id = ANY (%(streams)s::bigint[]))
       AND (%(kinds)s::text[] IS NULL OR s.change_kind = ANY (%(kinds)s::text[]))
       AND EXISTS (SELECT FROM streams n JOIN connections c ON c.id = n.connection_id  -- none is left of a removed one
                    WHERE n.id = s.stream_id
                      AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c))
       AND (%(since)s::timestamptz IS NULL OR greatest(s.deleted_at, s.observed_at) >= %(since)s
            OR (s.change_xid, s.change_seq) > (%(until_xid)s::xid8, %(until_seq)s))
     ORDER BY s.change_xid, s.change_seq
     LIMIT %(limit)s + 1
), page AS (
    SELECT w.* FROM wanted w
     WHERE w.total <= %(bytes)s OR w.total = w.size
     ORDER BY w.change_xid, w.change_seq
     LIMIT %(limit)s
)
SELECT t.seen, t.wanted, t.last_xid::text AS last_xid, t.last_seq, r.*
  FROM (SELECT (SELECT count(*) FROM scanned) AS seen, (SELECT count(*) FROM wanted) AS wanted,
               l.change_xid AS last_xid, l.change_seq AS last_seq
          FROM (VALUES (1)) one
          LEFT JOIN LATERAL (SELECT * FROM scanned s ORDER BY s.change_xid DESC, s.change_seq DESC LIMIT 1) l ON true) t
  LEFT JOIN LATERAL (
      SELECT p.stream_id, p.key, p.change_xid::text AS xid, p.change_seq AS seq, p.change_kind AS kind,
             c.name AS connection, c.environment, n.name AS stream, o.version, o.source_updated_at, o.observed_at,
             o.deleted_at, o.delete_reason, o.cause_kind, o.cause_id,
             CASE WHEN %(content)s AND o.delete_reason IS DISTINCT FROM 'erased' THEN o.raw::text END AS raw
        FROM page p
        JOIN streams n ON n.id = p.stream_id
        JOIN connections c ON c.id = n.connection_id
        CROSS JOIN LATERAL (SELECT * FROM records x
                             WHERE x.bucket = p.bucket AND x.stream_id = p.stream_id AND x.key = p.key OFFSET 0) o
       ORDER BY p.change_xid, p.change_seq
  ) r ON true;

-- name: raise_floor
-- In the transaction that forgets tombstones. Never lowered within an epoch.
UPDATE feed_state
   SET floor_epoch = epoch,
       floor_seq = CASE WHEN (floor_epoch, floor_xid, floor_seq) < (epoch, %(xid)s::xid8, %(seq)s)
                        THEN %(seq)s ELSE floor_seq END,
       floor_xid = CASE WHEN (floor_epoch, floor_xid, floor_seq) < (epoch, %(xid)s::xid8, %(seq)s)
                        THEN %(xid)s::xid8 ELSE floor_xid END;

-- name: renew_places
-- Places of a cluster that this isn't, and that this one has yet to come to, are given anew in their old order. Who is
-- writing one of these records gives it a new place himself.
WITH old AS MATERIALIZED (
    SELECT r.bucket, r.stream_id, r.key FROM records r
     WHERE r.change_xid >= pg_snapshot_xmax(pg_current_snapshot())
     ORDER BY r.change_xid, r.change_seq
     LIMIT %(batch)s
       FOR UPDATE SKIP LOCKED
), numbered AS MATERIALIZED (
    SELECT bucket, stream_id, key, nextval('record_change_seq') AS seq FROM old
)
UPDATE records r SET change_xid = pg_current_xact_id(), change_seq = n.seq
  FROM numbered n
 WHERE r.bucket = n.bucket AND r.stream_id = n.stream_id AND r.key = n.key;

-- name: future_places
SELECT EXISTS (SELECT FROM records WHERE change_xid >= pg_snapshot_xmax(pg_current_snapshot())) AS found;

-- name: open_epoch
-- A feed that nobody has looked at yet keeps its first epoch: no position of it can have been given out.
UPDATE feed_state
   SET epoch = epoch + CASE WHEN identity IS NULL THEN 0 ELSE 1 END, identity = %(cluster)s, opened_at = now()
 WHERE identity IS NOT DISTINCT FROM %(before)s
RETURNING epoch;

-- name: note_identity
-- The same cluster, of which more can be read by now.
UPDATE feed_state SET identity = %(cluster)s WHERE identity = %(before)s;

-- name: create_consumer
INSERT INTO feed_consumers (name, position, environment, tenants, connections)
VALUES (%(name)s, %(position)s, %(environment)s, %(tenants)s, %(connections)s)
ON CONFLICT (name) DO NOTHING;

-- name: commit_consumer
INSERT INTO feed_consumers AS c (name, position, environment, tenants, connections)
VALUES (%(name)s, %(position)s, %(environment)s, %(tenants)s, %(connections)s)
ON CONFLICT (name) DO UPDATE SET position = excluded.position, committed_at = now()
RETURNING name, position, created_at, committed_at;

-- name: consumers
-- All, those of a space, or one by the name that it is kept under.
SELECT name, position, created_at, committed_at, environment, tenants, connections FROM feed_consumers
 WHERE (%(name)s::text IS NULL OR name = %(name)s)
   AND (%(space)s::text IS NULL
        OR CASE WHEN %(space)s = '' THEN strpos(name, E'\n') = 0 ELSE starts_with(name, %(space)s || E'\n') END)
   AND name > %(after)s
 ORDER BY name
 LIMIT %(limit)s;

-- name: delete_consumer
DELETE FROM feed_consumers WHERE name = %(name)s;

-- name: behind
-- How far behind are readers? Counted to a bound: who is a million changes behind needs no exact number. Whoever sees a part
-- is told of that part. All in one statement, since planning for all partitions costs more than counting.
SELECT l.*
  FROM jsonb_to_recordset(%(readers)s) AS p (number integer, xid text, seq bigint, everything boolean, environment text,
                                             tenants text[], connections bigint[])
 CROSS JOIN LATERAL (
    WITH ahead AS MATERIALIZED (
        SELECT r.stream_id, r.change_xid, r.change_seq, r.deleted_at, r.observed_at FROM records r
         WHERE (r.change_xid, r.change_seq) > (p.xid::xid8, p.seq)
           AND r.change_xid < pg_snapshot_xmin(pg_current_snapshot())
         ORDER BY r.change_xid, r.change_seq LIMIT %(most)s
    ), seen AS (
        SELECT d.stream_id FROM (SELECT DISTINCT stream_id FROM ahead) d
         WHERE p.everything
            OR EXISTS (SELECT FROM streams n JOIN connections c ON c.id = n.connection_id
                        WHERE n.id = d.stream_id AND headrace_sees(p.environment, p.tenants, p.connections, NULL, c)
                       OFFSET 0)
    )
    SELECT count(s.stream_id) AS changes, count(*) AS looked_at,
           extract(epoch FROM now() - (array_agg(greatest(a.deleted_at, a.observed_at) ORDER BY a.change_xid, a.change_seq)
                                       FILTER (WHERE s.stream_id IS NOT NULL))[1])::float8 AS seconds
      FROM ahead a LEFT JOIN seen s ON s.stream_id = a.stream_id
 ) l
 ORDER BY p.number;

-- name: held_back
-- What is committed and not served yet, because an older transaction is still open.
SELECT count(*) AS changes FROM (
    SELECT FROM records WHERE change_xid >= pg_snapshot_xmin(pg_current_snapshot()) LIMIT %(most)s) f;

-- name: holders
-- Who holds the horizon: writers of any database of this cluster, and prepared transactions. When they began is for their
-- owner and for members of pg_read_all_stats to see.
SELECT a.pid, a.datname AS database, a.application_name AS application, a.state, NULL AS prepared,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds, age(a.backend_xid) AS transactions
  FROM pg_stat_activity a
 WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid()
UNION ALL
SELECT NULL, p.database, NULL, 'prepared', p.gid, extract(epoch FROM clock_timestamp() - p.prepared)::float8,
       age(p.transaction)
  FROM pg_prepared_xacts p
 ORDER BY transactions DESC LIMIT 5;

-- name: streams_to_read
-- The streams of a connection, those of a name, or the one that is both.
SELECT s.id, s.bucket FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE (%(connection)s::bigint IS NULL OR s.connection_id = %(connection)s)
   AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
   AND (%(stream)s::text IS NULL OR s.name = %(stream)s);
