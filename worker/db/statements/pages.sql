-- How pages get into the copy, and cursors with them.

-- name: note_backend
-- Committed before the connection may hold anything for long: should this worker be stopped in the middle of a COPY,
-- no time-out of Postgres ends it, and the rescuer must know whom to terminate.
UPDATE runs SET backend_pid = pg_backend_pid()
 WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
RETURNING cancel_requested_at IS NOT NULL AS cancelled;

-- name: create_staging
-- Rows wait here until all of a page has arrived; nothing shared is locked meanwhile.
CREATE TEMPORARY TABLE IF NOT EXISTS staged_records (
    key text NOT NULL, raw json NOT NULL, content_hash uuid NOT NULL, version bigint,
    source_updated_at timestamptz, deleted boolean NOT NULL
) ON COMMIT DELETE ROWS;

-- name: copy_staged
COPY staged_records (key, raw, content_hash, version, source_updated_at, deleted) FROM STDIN (FORMAT BINARY);

-- name: load_page
-- The page's transaction: records, place in the change feed, cursor, counts and fence in one statement.
-- What is unchanged is found by a join first, since even an upsert that decides not to update locks its row, which is a
-- write. Newer wins: a differing record is written if its version is greater, or if versions can't tell and it was
-- asked for later. The rule stands twice, because another run may write between the join and the upsert.
-- Rows are written in the order of their keys, so that two runs on one stream can't wait for each other in a circle.
WITH incoming AS MATERIALIZED (
    SELECT n.*, r.key IS NOT NULL AS known,
           r.content_hash IS DISTINCT FROM n.content_hash OR (r.deleted_at IS NOT NULL) <> n.deleted AS differs,
           n.version > r.version
               OR ((r.version IS NULL OR n.version IS NULL OR n.version = r.version)
                   AND r.observed_at <= %(observed_at)s) AS newer
      FROM staged_records n
      LEFT JOIN LATERAL (
          SELECT o.key, o.content_hash, o.version, o.observed_at, o.deleted_at
            FROM records o
           WHERE o.bucket = %(bucket)s AND o.stream_id = %(stream)s AND o.key = n.key
          OFFSET 0                                     -- one look-up by key each, whatever the statistics say
      ) r ON true
), written AS (
    INSERT INTO records AS r (bucket, stream_id, key, raw, content_hash, version, observed_at, source_updated_at,
                              first_seen_at, deleted_at, cause_kind, cause_id, change_kind)
    SELECT %(bucket)s, %(stream)s, n.key, n.raw, n.content_hash, n.version, %(observed_at)s, n.source_updated_at,
           now(), CASE WHEN n.deleted THEN now() END, 'run', %(run)s,
           CASE WHEN n.deleted THEN 'deleted' ELSE 'created' END
      FROM incoming n
     WHERE NOT n.known OR (n.differs AND n.newer IS TRUE)
     ORDER BY n.key
    ON CONFLICT (bucket, stream_id, key) DO UPDATE
       SET raw = excluded.raw, content_hash = excluded.content_hash, version = excluded.version,
           observed_at = excluded.observed_at, source_updated_at = excluded.source_updated_at,
           deleted_at = excluded.deleted_at, cause_kind = excluded.cause_kind, cause_id = excluded.cause_id,
           change_xid = pg_current_xact_id(), change_seq = nextval('record_change_seq'),
           change_kind = CASE WHEN excluded.deleted_at IS NOT NULL THEN 'deleted'
                              WHEN r.deleted_at IS NOT NULL THEN 'created'
                              ELSE 'updated' END
     WHERE (r.content_hash IS DISTINCT FROM excluded.content_hash
            OR (r.deleted_at IS NOT NULL) <> (excluded.deleted_at IS NOT NULL))
       AND ((excluded.version > r.version)
            OR ((r.version IS NULL OR excluded.version IS NULL OR excluded.version = r.version)
                AND r.observed_at <= excluded.observed_at))
    RETURNING change_kind
), counted AS (
    SELECT count(*) FILTER (WHERE change_kind = 'created') AS created,
           count(*) FILTER (WHERE change_kind = 'updated') AS updated,
           count(*) FILTER (WHERE change_kind = 'deleted') AS deleted,
           (SELECT count(*) FROM incoming WHERE known AND differs AND newer IS NOT TRUE) AS refused
      FROM written
), moved AS (
    INSERT INTO cursors AS u (stream_id, track, slice, window_since, window_until, position, watermark, finished_at)
    VALUES (%(stream)s, %(track)s, '', %(window_since)s, %(window_until)s, %(position)s, %(watermark)s,
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
           records_created = records_created + c.created, records_updated = records_updated + c.updated,
           records_deleted = records_deleted + c.deleted, records_refused = records_refused + c.refused
      FROM counted c
     WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
    RETURNING cancel_requested_at IS NOT NULL AS cancelled
)
SELECT headrace_require_lease(EXISTS (SELECT FROM fenced), %(run)s) AS held,
       (SELECT cancelled FROM fenced) AS cancelled, c.created, c.updated, c.deleted, c.refused
  FROM counted c;

-- name: checkpoint_page
-- A page without records: the cursor and the counts alone, under the same fence.
WITH moved AS (
    INSERT INTO cursors AS u (stream_id, track, slice, window_since, window_until, position, watermark, finished_at)
    VALUES (%(stream)s, %(track)s, '', %(window_since)s, %(window_until)s, %(position)s, %(watermark)s,
            CASE WHEN %(finished)s THEN now() END)
    ON CONFLICT (stream_id, track, slice) DO UPDATE
       SET window_since = excluded.window_since, window_until = excluded.window_until, position = excluded.position,
           watermark = excluded.watermark, finished_at = excluded.finished_at, updated_at = now()
), fenced AS (
    UPDATE runs
       SET lease_until = now() + make_interval(secs => %(lease)s), pages = pages + %(pages)s,
           attempt = 0,                              -- failures in a row end where a page was committed
           records_read = records_read + %(read)s, records_rejected = records_rejected + %(rejected)s,
           records_total = coalesce(%(total)s, records_total)
     WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
    RETURNING cancel_requested_at IS NOT NULL AS cancelled
)
SELECT headrace_require_lease(EXISTS (SELECT FROM fenced), %(run)s) AS held,
       (SELECT cancelled FROM fenced) AS cancelled, 0 AS created, 0 AS updated, 0 AS deleted, 0 AS refused;

-- name: start_cursor
-- At the very first sync the live cursor starts at now, before anything was read: what changes from here on belongs to
-- it, and everything older to the history. Two first runs at once start it once.
INSERT INTO cursors (stream_id, track, watermark) VALUES (%(stream)s, 'live', %(watermark)s)
ON CONFLICT (stream_id, track, slice) DO NOTHING;

-- name: start_history
INSERT INTO cursors (stream_id, track, window_since, window_until)
VALUES (%(stream)s, 'history', %(window_since)s, %(window_until)s)
ON CONFLICT (stream_id, track, slice) DO NOTHING;

-- name: drop_position
UPDATE cursors u SET position = NULL
  FROM runs r
 WHERE r.id = %(run)s AND r.claim_no = %(claim)s AND r.state = 'running'
   AND u.stream_id = r.stream_id AND u.track = r.track AND u.slice = '';

-- name: history_is_open
SELECT EXISTS (SELECT FROM runs WHERE stream_id = %(stream)s AND track = 'history') AS open;

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

-- name: forget_quarantine
-- What the system hasn't sent for this long has been mended there, or was replaced by something else that is bad.
DELETE FROM quarantine WHERE last_seen_at < now() - interval '90 days';
