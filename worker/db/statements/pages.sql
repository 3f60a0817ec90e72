-- How pages get into the copy, and cursors with them. `records_NN` stands for the partition of the stream's bucket: named
-- outright, since finding it among all of them costs more than writing a row.

-- name: note_backend
-- Committed before the connection may hold anything for long: should this worker be stopped in the middle of a COPY,
-- no time-out of Postgres ends it, and the rescuer must know whom to terminate. Not waited for on disk: a crash that
-- forgets it ends the backend, too.
UPDATE runs SET backend_pid = pg_backend_pid()
  FROM set_config('synchronous_commit', 'off', true)
 WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
RETURNING cancel_requested_at IS NOT NULL AS cancelled;

-- name: begin_loading
-- For the look-ups by key of this file: a plan that was kept from when a partition was empty must not read through it when
-- it is full, and no plan of theirs is worth compiling.
SET enable_seqscan = off; SET jit = off;

-- name: has_records
SELECT EXISTS (SELECT FROM records_NN WHERE bucket = %(bucket)s AND stream_id = %(stream)s) AS found;

-- name: sift_records
-- What has to be written? One letter a record, in their order: `n`ew, `c`hanged, `o`lder than what the copy holds, `=`, or
-- `m`oved on: the same content in a later version, or without one while another run of the stream is at work. That is kept,
-- or else what lies between could come late and win.
-- Asked without the records themselves, so what is unchanged is neither sent nor locked. Newer wins (`headrace_newer`).
SELECT string_agg(CASE WHEN r.key IS NULL THEN 'n'
                       WHEN r.content_hash = n.content_hash AND (r.deleted_at IS NOT NULL) = n.deleted
                       THEN CASE WHEN headrace_moved_on(r.version, r.observed_at, n.version, n.observed_at)
                                      AND (n.version IS NOT NULL OR (SELECT headrace_beside(%(stream)s, %(run)s)))
                                 THEN 'm' ELSE '=' END
                       WHEN headrace_newer(r.version, r.observed_at, n.version, n.observed_at, %(authoritative)s) THEN 'c'
                       ELSE 'o' END, '' ORDER BY n.place) AS verdicts
  FROM unnest(%(keys)s, %(hashes)s, %(versions)s, %(deleted)s, %(observed)s)
       WITH ORDINALITY AS n (key, content_hash, version, deleted, observed_at, place)
  LEFT JOIN LATERAL (
      SELECT o.key, o.content_hash, o.version, o.observed_at, o.deleted_at
        FROM records_NN o
       WHERE o.bucket = %(bucket)s AND o.stream_id = %(stream)s AND o.key = n.key
      OFFSET 0                                         -- one look-up by key each, whatever the statistics say
  ) r ON true;

-- name: move_on
-- The same content in a later version: only that is kept. No change, so no place in the feed.
UPDATE records_NN r
   SET version = n.version, observed_at = greatest(r.observed_at, n.observed_at),
       source_updated_at = n.source_updated_at
  FROM unnest(%(keys)s, %(hashes)s, %(versions)s, %(deleted)s, %(observed)s, %(updated)s)
       AS n (key, content_hash, version, deleted, observed_at, source_updated_at)
 WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = n.key AND r.content_hash = n.content_hash
   AND (r.deleted_at IS NOT NULL) = n.deleted AND headrace_moved_on(r.version, r.observed_at, n.version, n.observed_at);

-- name: copy_new
-- Records that the copy doesn't hold: no staging, and one entry in the WAL for a block of them. It can't overwrite
-- anything: should another run have been faster with one of the keys, it fails, and the rows go by way of the stage.
COPY records_NN (bucket, stream_id, cause_kind, cause_id, change_kind, key, raw, content_hash, version,
                 source_updated_at, observed_at) FROM STDIN (FORMAT BINARY);

-- name: create_staging
-- Changed rows wait here until all of them have arrived; nothing shared is locked meanwhile.
CREATE TEMPORARY TABLE IF NOT EXISTS staged_records (
    key text NOT NULL, raw json NOT NULL, content_hash uuid NOT NULL, version bigint,
    source_updated_at timestamptz, observed_at timestamptz NOT NULL, deleted boolean NOT NULL, exact bytea
) ON COMMIT DELETE ROWS;

-- name: copy_staged
COPY staged_records (key, raw, content_hash, version, source_updated_at, observed_at, deleted, exact)
FROM STDIN (FORMAT BINARY);

-- name: merge_staged
-- Staged in the order of their keys, and written so. The rule of `sift_records` stands here again, because another run
-- may have written since.
WITH written AS (
    INSERT INTO records_NN AS r (bucket, stream_id, key, raw, content_hash, version, observed_at, source_updated_at,
                                 first_seen_at, deleted_at, cause_kind, cause_id, change_kind, delete_reason, exact)
    SELECT %(bucket)s, %(stream)s, n.key, n.raw, n.content_hash, n.version, n.observed_at, n.source_updated_at,
           now(), CASE WHEN n.deleted THEN now() END, %(cause)s, %(run)s,
           CASE WHEN n.deleted THEN 'deleted' ELSE 'created' END, CASE WHEN n.deleted THEN 'flag' END, n.exact
      FROM staged_records n
    ON CONFLICT (bucket, stream_id, key) DO UPDATE
       SET raw = excluded.raw, content_hash = excluded.content_hash, version = excluded.version,
           observed_at = excluded.observed_at, source_updated_at = excluded.source_updated_at,
           deleted_at = excluded.deleted_at, delete_reason = excluded.delete_reason, exact = excluded.exact,
           cause_kind = excluded.cause_kind, cause_id = excluded.cause_id,
           change_xid = pg_current_xact_id(), change_seq = nextval('record_change_seq'),
           change_kind = CASE WHEN excluded.deleted_at IS NOT NULL THEN 'deleted'
                              WHEN r.deleted_at IS NOT NULL THEN 'created'
                              ELSE 'updated' END
     WHERE (r.content_hash IS DISTINCT FROM excluded.content_hash
            OR (r.deleted_at IS NOT NULL) <> (excluded.deleted_at IS NOT NULL))
       AND headrace_newer(r.version, r.observed_at, excluded.version, excluded.observed_at, %(authoritative)s)
    RETURNING change_kind
)
SELECT count(*) FILTER (WHERE change_kind = 'created') AS created,
       count(*) FILTER (WHERE change_kind = 'updated') AS updated,
       count(*) FILTER (WHERE change_kind = 'deleted') AS deleted
  FROM written;

-- name: bury_records
-- Deletes that come without the record, by key and with their evidence. The rule is the same: nothing is buried that was
-- seen later. The content stays as it was last seen.
WITH held AS (
    SELECT r.key, g.reason, g.at
      FROM unnest(%(gone)s::text[], %(reasons)s::text[], %(gone_at)s::timestamptz[]) AS g (key, reason, at)
      JOIN records_NN r ON r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = g.key
     WHERE r.deleted_at IS NULL AND r.observed_at <= g.at
     ORDER BY r.key
       FOR NO KEY UPDATE OF r
)
UPDATE records_NN r
   SET deleted_at = now(), delete_reason = held.reason, observed_at = held.at, cause_kind = %(cause)s, cause_id = %(run)s,
       change_xid = pg_current_xact_id(), change_seq = nextval('record_change_seq'), change_kind = 'deleted'
  FROM held
 WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = held.key
   AND r.deleted_at IS NULL AND r.observed_at <= held.at
RETURNING r.key;

-- name: load_page
-- A small page's transaction: records, place in the change feed, cursor, counts and fence in one statement.
-- What is unchanged is found by a join first, since even an upsert that decides not to update locks its row, which is a
-- write. The rule of `sift_records` stands twice, because another run may write between the join and the upsert.
-- Rows are written in the order of their keys, so that two runs on one stream can't wait for each other in a circle.
-- OFFSET 0: one look-up by key each, whatever the statistics say. `attempt`: failures in a row end where a page was committed.
-- Arrays come by way of sub-selects, or the statement would be planned anew for the length of each, which takes longer than
-- to carry it out.
WITH incoming AS (
    SELECT n.*, r.key IS NOT NULL AS known,
           r.content_hash IS DISTINCT FROM n.hash OR (r.deleted_at IS NOT NULL) <> n.deleted AS differs,
           headrace_newer(r.version, r.observed_at, n.version, n.at, %(authoritative)s) AS newer,
           headrace_moved_on(r.version, r.observed_at, n.version, n.at) AS later
      FROM unnest((SELECT %(keys)s), (SELECT %(raws)s), (SELECT %(hashes)s), (SELECT %(versions)s), (SELECT %(updated)s),
                  (SELECT %(deleted)s), (SELECT %(observed)s)) AS n (key, raw, hash, version, updated, deleted, at)
      LEFT JOIN LATERAL (
          SELECT o.key, o.content_hash, o.version, o.observed_at, o.deleted_at
            FROM records_NN o
           WHERE o.bucket = %(bucket)s AND o.stream_id = %(stream)s AND o.key = n.key
          OFFSET 0
      ) r ON true
), written AS (
    INSERT INTO records_NN AS r (bucket, stream_id, key, raw, content_hash, version, observed_at, source_updated_at,
                                 first_seen_at, deleted_at, cause_kind, cause_id, change_kind, delete_reason)
    SELECT %(bucket)s, %(stream)s, n.key, n.raw, n.hash, n.version, n.at, n.updated,
           now(), CASE WHEN n.deleted THEN now() END, %(cause)s, %(run)s,
           CASE WHEN n.deleted THEN 'deleted' ELSE 'created' END, CASE WHEN n.deleted THEN 'flag' END
      FROM incoming n
     WHERE NOT n.known OR n.differs AND n.newer
    ON CONFLICT (bucket, stream_id, key) DO UPDATE
       SET raw = excluded.raw, content_hash = excluded.content_hash, version = excluded.version,
           observed_at = excluded.observed_at, source_updated_at = excluded.source_updated_at,
           deleted_at = excluded.deleted_at, delete_reason = excluded.delete_reason, exact = NULL,
           cause_kind = excluded.cause_kind, cause_id = excluded.cause_id,
           change_xid = pg_current_xact_id(), change_seq = nextval('record_change_seq'),
           change_kind = CASE WHEN excluded.deleted_at IS NOT NULL THEN 'deleted'
                              WHEN r.deleted_at IS NOT NULL THEN 'created'
                              ELSE 'updated' END
     WHERE (r.content_hash IS DISTINCT FROM excluded.content_hash
            OR (r.deleted_at IS NOT NULL) <> (excluded.deleted_at IS NOT NULL))
       AND headrace_newer(r.version, r.observed_at, excluded.version, excluded.observed_at, %(authoritative)s)
    RETURNING change_kind, key
), later AS (
    UPDATE records_NN r
       SET version = n.version, observed_at = greatest(r.observed_at, n.at), source_updated_at = n.updated
      FROM incoming n
     WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = n.key AND NOT n.differs AND n.later
       AND r.content_hash = n.hash AND (n.version > r.version) IS NOT FALSE
       AND (n.version IS NOT NULL OR (SELECT headrace_beside(%(stream)s, %(run)s)))
), counts AS (
    SELECT count(*) FILTER (WHERE change_kind = 'created') AS created,
           count(*) FILTER (WHERE change_kind = 'updated') AS updated,
           count(*) FILTER (WHERE change_kind = 'deleted') AS deleted, array_agg(key) AS keys,
           %(refused)s + (SELECT count(*) FROM incoming WHERE known AND differs AND newer IS NOT TRUE) AS refused
      FROM written
), moved AS (
    INSERT INTO cursors AS u (stream_id, track, slice, window_since, window_until, position, watermark, finished_at)
    VALUES (%(stream)s, %(track)s, %(slice)s, %(window_since)s, %(window_until)s, %(position)s, %(watermark)s,
            CASE WHEN %(finished)s THEN now() END)
    ON CONFLICT (stream_id, track, slice) DO UPDATE
       SET window_since = excluded.window_since, window_until = excluded.window_until, position = excluded.position,
           watermark = excluded.watermark, finished_at = excluded.finished_at, updated_at = now()
), fenced AS (
    UPDATE runs
       SET lease_until = now() + make_interval(secs => %(lease)s), pages = pages + %(pages)s,
           attempt = 0,
           records_read = records_read + %(read)s, records_rejected = records_rejected + %(rejected)s,
           records_total = coalesce(%(total)s, records_total),
           records_created = records_created + c.created, records_updated = records_updated + c.updated,
           records_deleted = records_deleted + c.deleted, records_refused = records_refused + c.refused
      FROM counts c
     WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
    RETURNING cancel_requested_at IS NOT NULL AS cancelled
)
SELECT headrace_require_lease(EXISTS (SELECT FROM fenced), %(run)s), (SELECT cancelled FROM fenced),
       c.created, c.updated, c.deleted, c.refused, c.keys
  FROM counts c;

-- name: checkpoint_page
-- The cursor and the counts alone, under the same fence: of a page without records, or after its records were written in
-- the same transaction.
WITH moved AS (
    INSERT INTO cursors AS u (stream_id, track, slice, window_since, window_until, position, watermark, finished_at)
    VALUES (%(stream)s, %(track)s, %(slice)s, %(window_since)s, %(window_until)s, %(position)s, %(watermark)s,
            CASE WHEN %(finished)s THEN now() END)
    ON CONFLICT (stream_id, track, slice) DO UPDATE
       SET window_since = excluded.window_since, window_until = excluded.window_until, position = excluded.position,
           watermark = excluded.watermark, finished_at = excluded.finished_at, updated_at = now()
), fenced AS (
    UPDATE runs
       SET lease_until = now() + make_interval(secs => %(lease)s), pages = pages + %(pages)s,
           attempt = 0,                              -- failures in a row end where a page was committed
           records_read = records_read + %(read)s, records_rejected = records_rejected + %(rejected)s,
           records_total = coalesce(%(total)s, records_total),
           records_created = records_created + %(created)s, records_updated = records_updated + %(updated)s,
           records_deleted = records_deleted + %(deleted)s, records_refused = records_refused + %(refused)s
     WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
    RETURNING cancel_requested_at IS NOT NULL AS cancelled
)
SELECT headrace_require_lease(EXISTS (SELECT FROM fenced), %(run)s) AS held,
       (SELECT cancelled FROM fenced) AS cancelled, %(created)s AS created, %(updated)s AS updated,
       %(deleted)s AS deleted, %(refused)s AS refused;

-- name: start_cursor
-- At the very first sync the live cursor starts at now, before anything was read: what changes from here on belongs to
-- it, and everything older to the history. Two first runs at once start it once.
INSERT INTO cursors (stream_id, track, watermark) VALUES (%(stream)s, 'live', %(watermark)s)
ON CONFLICT (stream_id, track, slice) DO NOTHING;

-- name: drop_position
UPDATE cursors u SET position = NULL
  FROM runs r
 WHERE r.id = %(run)s AND r.claim_no = %(claim)s AND r.state = 'running'
   AND u.stream_id = r.stream_id AND u.track = r.track AND u.slice = %(slice)s;

-- name: quarantine_records
-- The same bad record, read again, is counted and not piled up. In one order for all, so that two runs on one stream
-- can't wait for each other in a circle.
INSERT INTO quarantine AS q (stream_id, content_hash, key, code, reason, raw, run_id, page)
SELECT %(stream)s, b.content_hash, b.key, b.code, b.reason, b.raw, %(run)s, %(page)s
  FROM unnest(%(hashes)s::uuid[], %(keys)s::text[], %(codes)s::text[], %(reasons)s::text[], %(raws)s::bytea[])
       AS b (content_hash, key, code, reason, raw)
 ORDER BY b.content_hash
ON CONFLICT (stream_id, content_hash) DO UPDATE
   SET seen = q.seen + 1, last_seen_at = now(), run_id = excluded.run_id, page = excluded.page,
       code = excluded.code, reason = excluded.reason;

-- name: broken_records
-- Which of these does Postgres refuse as JSON or text? Asked only after it refused a page.
SELECT n - 1 AS place FROM unnest(%(raws)s::text[]) WITH ORDINALITY AS t (raw, n)
 WHERE NOT pg_input_is_valid(raw, 'json');

-- name: takes_record
SELECT %(raw)s::json, %(key)s::text;
