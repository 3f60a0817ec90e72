-- How is the change feed read, and how is what changed delivered?

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

-- name: add_subscription
INSERT INTO subscriptions (name, url, secret, connection_id, stream, kinds, position, environment, tenants, connections,
                           labels)
VALUES (%(name)s, %(url)s, %(secret)s, %(connection)s, %(stream)s, %(kinds)s, %(position)s, %(environment)s, %(tenants)s,
        %(connections)s, %(labels)s)
ON CONFLICT (name) DO NOTHING RETURNING id;

-- name: subscriptions
-- Whoever sees all that one may tell of sees it; and those that the command line made are seen with all that is live. Narrowed
-- to a customer, those that tell of nothing else. The page is cut before it is counted what waits.
SELECT s.*, p.pending, p.given_up, p.pending_next_at, p.pending_error
  FROM (SELECT s.*, split_part(s.name, E'\n', -1) AS given, c.name AS connection,
               c.environment AS connection_environment
          FROM subscriptions s
          LEFT JOIN connections c ON c.id = s.connection_id
                                 AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, NULL, c)
         WHERE (%(environment)s::text IS NULL OR s.environment = %(environment)s
                OR (s.environment IS NULL AND %(environment)s = 'live'))
           AND (%(tenants)s::text[] IS NULL OR (s.environment IS NOT NULL AND s.tenants <@ %(tenants)s::text[]))
           AND (%(connections)s::bigint[] IS NULL
                OR (s.environment IS NOT NULL AND s.connections <@ %(connections)s::bigint[]))
           AND (%(of)s::bigint IS NULL OR s.connection_id = %(of)s)
           AND (%(tenant)s::text IS NULL OR s.tenants <@ ARRAY[%(tenant)s::text] OR c.tenant = %(tenant)s)
           AND (%(labels)s::jsonb IS NULL OR s.labels @> %(labels)s::jsonb OR c.labels @> %(labels)s::jsonb)
           AND (split_part(s.name, E'\n', -1), s.name) > (%(after_given)s, %(after_name)s)
         ORDER BY split_part(s.name, E'\n', -1), s.name
         LIMIT %(limit)s) s
 CROSS JOIN LATERAL (
      SELECT count(next_at) AS pending, count(*) - count(next_at) AS given_up, min(next_at) AS pending_next_at,
             (array_agg(error ORDER BY failed_at DESC))[1] AS pending_error
        FROM pending_deliveries WHERE subscription_id = s.id
 ) p
 ORDER BY s.given, s.name;

-- name: pause_subscription
UPDATE subscriptions SET state = 'paused', reason = NULL WHERE id = %(id)s AND state <> 'paused';

-- name: resume_subscription
-- Failures so far are forgotten, also those of single records: what was given up is tried again.
WITH resumed AS (
    UPDATE subscriptions
       SET state = 'active', reason = NULL, attempt = 0, failing_since = NULL, next_at = NULL, woken_at = NULL
     WHERE id = %(id)s RETURNING id
)
UPDATE pending_deliveries p SET next_at = now(), attempt = 1, failed_at = now()
  FROM resumed r WHERE p.subscription_id = r.id;

-- name: replay_subscription
-- A turn that is under way must not move the position once more: its fence is raised. Its lease is not, so that nobody
-- delivers beside it.
UPDATE subscriptions
   SET position = %(position)s, replay_since = %(since)s, replay_until = %(until)s, claim_no = claim_no + 1,
       attempt = 0, next_at = NULL, woken_at = NULL
 WHERE id = %(id)s;

-- name: remove_subscription
DELETE FROM subscriptions WHERE id = %(id)s;

-- name: ready_subscriptions
-- Who may be delivered to now, and isn't; whether there is something is for whoever knows the end of the feed.
SELECT s.id, s.position,
       EXISTS (SELECT FROM pending_deliveries p WHERE p.subscription_id = s.id AND p.next_at <= now()) AS due
  FROM subscriptions s
 WHERE s.state = 'active' AND (s.next_at IS NULL OR s.next_at <= now())
   AND (s.lease_until IS NULL OR s.lease_until < now())
   AND (s.woken_at IS NULL OR s.woken_at < now() - interval '30 seconds');

-- name: note_woken
UPDATE subscriptions SET woken_at = now()
 WHERE id = ANY (%(ids)s) AND (woken_at IS NULL OR woken_at < now() - interval '30 seconds')
RETURNING id;

-- name: claim_subscription
-- One worker delivers, in order. Whoever held it before and comes late is refused by the fence.
UPDATE subscriptions SET claim_no = claim_no + 1, lease_until = now() + make_interval(secs => %(lease)s), woken_at = NULL
 WHERE id = %(id)s AND state = 'active' AND (next_at IS NULL OR next_at <= now())
   AND (lease_until IS NULL OR lease_until < now())
RETURNING *, coalesce(extract(epoch FROM now() - failing_since), 0)::float8 AS failing,
          (SELECT c.environment FROM connections c WHERE c.id = connection_id) AS connection_environment;

-- name: settle_deliveries
-- What became of a handful of messages: records that were refused wait by themselves, those that were delivered wait no
-- longer, and the position moves; all of it under the fence, or nothing. A pause that came meanwhile is said.
WITH held AS (
    UPDATE subscriptions
       SET position = %(position)s, attempt = %(attempt)s,
           failing_since = CASE WHEN %(failing)s::boolean IS NULL THEN failing_since
                                WHEN %(failing)s THEN coalesce(failing_since, now()) END,
           next_at = now() + make_interval(secs => %(rest)s), delivered = delivered + %(delivered)s,
           lease_until = now() + make_interval(secs => %(lease)s),
           replay_since = CASE WHEN %(replayed)s THEN NULL ELSE replay_since END,
           replay_until = CASE WHEN %(replayed)s THEN NULL ELSE replay_until END,
           last_success_at = CASE WHEN %(delivered)s > 0 THEN now() ELSE last_success_at END,
           last_failure_at = CASE WHEN %(error)s::text IS NULL THEN last_failure_at ELSE now() END,
           last_error = coalesce(%(error)s, last_error),
           state = CASE WHEN state = 'active' AND %(reason)s::text IS NOT NULL THEN 'disabled' ELSE state END,
           reason = CASE WHEN state = 'active' THEN %(reason)s ELSE reason END
     WHERE id = %(id)s AND claim_no = %(claim)s
    RETURNING id, state
), delivered AS (
    DELETE FROM pending_deliveries p
     USING held h, unnest(%(done_streams)s::bigint[], %(done_keys)s::text[]) AS d (stream_id, key)
     WHERE p.subscription_id = h.id AND p.stream_id = d.stream_id AND p.key = d.key
), refused AS (
    INSERT INTO pending_deliveries AS p (subscription_id, stream_id, key, attempt, next_at, error)
    SELECT h.id, r.stream_id, r.key, r.attempt, now() + make_interval(secs => r.seconds), r.error
      FROM held h, unnest(%(failed_streams)s::bigint[], %(failed_keys)s::text[], %(failed_attempts)s::int[],
                          %(failed_seconds)s::float8[], %(failed_errors)s::text[])
                   AS r (stream_id, key, attempt, seconds, error)
     WHERE EXISTS (SELECT FROM streams s WHERE s.id = r.stream_id)
    ON CONFLICT (subscription_id, stream_id, key) DO UPDATE
       SET attempt = excluded.attempt, next_at = excluded.next_at, error = excluded.error,
           failed_at = CASE WHEN excluded.attempt = 1 THEN now() ELSE p.failed_at END
)
SELECT state FROM held;

-- name: release_subscription
UPDATE subscriptions SET lease_until = NULL, woken_at = NULL WHERE id = %(id)s AND claim_no = %(claim)s;

-- name: waiting_records
-- Which of these wait by themselves already? What was given up is none of them: it changed, so it is tried again.
SELECT stream_id, key FROM pending_deliveries
 WHERE subscription_id = %(id)s AND next_at IS NOT NULL
   AND (stream_id, key) IN (SELECT * FROM unnest(%(streams)s::bigint[], %(keys)s::text[]));

-- name: count_pending
SELECT count(*) AS n FROM pending_deliveries WHERE subscription_id = %(id)s;

-- name: due_records
-- The latest state of records whose time has come, once the feed has come to it: no place beyond is given out. One that is
-- there no more has nothing to say, nor has one that the subscription may not tell of by now.
SELECT p.stream_id, p.key, p.attempt, extract(epoch FROM now() - p.failed_at)::float8 AS failing, o.change_xid::text AS xid,
       o.change_seq AS seq, o.change_kind AS kind, c.name AS connection, c.environment, s.name AS stream, o.version,
       o.source_updated_at, o.observed_at, o.deleted_at, o.delete_reason, o.cause_kind, o.cause_id,
       CASE WHEN o.delete_reason IS DISTINCT FROM 'erased' THEN o.raw::text END AS raw,
       headrace_sees(u.environment, u.tenants, u.connections, u.labels, c) AS seen
  FROM pending_deliveries p
  JOIN subscriptions u ON u.id = p.subscription_id
  JOIN streams s ON s.id = p.stream_id
  JOIN connections c ON c.id = s.connection_id
  LEFT JOIN LATERAL (SELECT * FROM records x
                      WHERE x.bucket = s.bucket AND x.stream_id = s.id AND x.key = p.key OFFSET 0) o ON true
 WHERE p.subscription_id = %(id)s AND p.next_at <= now()
   AND (o.change_xid IS NULL OR o.change_xid < pg_snapshot_xmin(pg_current_snapshot()))
 ORDER BY p.next_at LIMIT %(limit)s;
