-- Named statements, each with its why. `%(name)s` are parameters. The clock is always the database's, because the
-- clocks of workers differ.

-- name: request_run
-- Somebody wants a run. A queued one is joined, and raised to the more urgent lane; a running one never is, since it may
-- have read past the change already. Joining by hand ends the pause before a retry, but not a wait for a limit.
INSERT INTO runs (stream_id, connection_id, queue, account, track, scope, scope_hash, lane, cause, request_id,
                  not_before, published_at)
SELECT s.id, c.id, %(queue)s, headrace_account(c), %(track)s, %(scope)s, %(scope_hash)s, %(lane)s, %(cause)s,
       %(request_id)s, now(), now()
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE s.id = %(stream)s
ON CONFLICT (stream_id, track, scope_hash) WHERE state = 'queued' DO UPDATE
   SET lane = least(runs.lane, excluded.lane),
       queue = CASE WHEN excluded.lane < runs.lane THEN excluded.queue ELSE runs.queue END,
       not_before = CASE WHEN runs.wait_reason = 'retry' AND excluded.lane < 3 THEN now() ELSE runs.not_before END,
       -- The caller publishes what is ready. What waits on is beat's, and must not count as published when its time comes.
       published_at = CASE WHEN runs.not_before <= now() OR (runs.wait_reason = 'retry' AND excluded.lane < 3)
                           THEN now() END
RETURNING id, queue, (xmax = 0) AS created, not_before <= now() AS ready;

-- name: request_due_runs
-- The same for a batch of streams whose time has come. A stream that still waits owes one run, not a backlog, so there
-- is nothing to change on a queued one. What is published when is decided by `wakeable`.
INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id)
SELECT s.id, c.id, due.queue, headrace_account(c), 'live', 3, 'schedule', 'sched-' || headrace_uuid7()
  FROM unnest(%(streams)s::bigint[], %(queues)s::text[]) AS due (stream_id, queue)
  JOIN streams s ON s.id = due.stream_id
  JOIN connections c ON c.id = s.connection_id
ON CONFLICT (stream_id, track, scope_hash) WHERE state = 'queued' DO NOTHING;

-- name: due_streams
-- Any number of beats may ask at once: each gets other rows, and nobody waits. Not FOR UPDATE: a request for a run looks
-- its stream up by a foreign key, after its row is in; it would wait for this lock, and this beat for its row.
SELECT s.id, s.schedule, c.system, s.next_run_at
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE s.next_run_at <= now()
 ORDER BY s.next_run_at
 LIMIT %(batch)s
   FOR NO KEY UPDATE OF s SKIP LOCKED;

-- name: move_due_streams
UPDATE streams s SET next_run_at = due.next_run_at
  FROM unnest(%(streams)s::bigint[], %(times)s::timestamptz[]) AS due (stream_id, next_run_at)
 WHERE s.id = due.stream_id;

-- name: next_due
SELECT extract(epoch FROM min(next_run_at) - now())::float8 AS seconds FROM streams WHERE next_run_at IS NOT NULL;

-- name: wakeable
-- Which waiting runs get a message now? A queue is topped up to a small multiple of the slots that serve it, so that a
-- backlog stays here, where its order can still change, and doesn't multiply messages. Accounts take turns: one with a
-- thousand runs is served as often as one with a single run. A message that vanished is sent again after a while.
-- A queue that nobody serves gets none: they would pile up in Redis, and a worker that starts is seen within seconds.
WITH served AS (
    SELECT queue, sum(p.slots) AS slots
      FROM processes p CROSS JOIN unnest(p.queues) AS queue
     WHERE p.kind = 'worker' AND p.seen_at > now() - interval '60 seconds'
     GROUP BY queue
), waiting AS (
    SELECT r.id, r.queue, r.account, r.lane, r.not_before,
           r.published_at IS NOT NULL AND r.published_at > now() - make_interval(secs => %(patience)s) AS outstanding
      FROM runs r JOIN connections c ON c.id = r.connection_id
     WHERE r.state = 'queued' AND r.not_before <= now() AND c.paused_at IS NULL
       AND NOT EXISTS (SELECT FROM runs o
                        WHERE o.stream_id = r.stream_id AND o.track = r.track AND o.state = 'running')
), turns AS (
    SELECT id, queue, not_before,
           row_number() OVER (PARTITION BY queue, account ORDER BY lane, not_before, id) AS turn
      FROM waiting WHERE NOT outstanding
), places AS (
    SELECT id, queue, row_number() OVER (PARTITION BY queue ORDER BY turn, not_before, id) AS place FROM turns
), room AS (
    SELECT s.queue, greatest(%(least)s, %(multiple)s * max(s.slots)) - count(*) FILTER (WHERE w.outstanding) AS free
      FROM served s JOIN waiting w ON w.queue = s.queue
     GROUP BY s.queue
), chosen AS (
    -- Another beat may be choosing the same: what it holds is passed over, what it has just sent is seen here.
    SELECT r.id
      FROM places p JOIN room ON room.queue = p.queue JOIN runs r ON r.id = p.id
     WHERE p.place <= room.free AND r.state = 'queued'
       AND (r.published_at IS NULL OR r.published_at <= now() - make_interval(secs => %(patience)s))
       FOR UPDATE OF r SKIP LOCKED
)
UPDATE runs r SET published_at = now() FROM chosen WHERE r.id = chosen.id RETURNING r.id, r.queue;

-- name: published_queues
-- Where messages should be by now: whoever takes one claims its run at once.
SELECT DISTINCT queue FROM runs
 WHERE state = 'queued' AND not_before <= now() AND published_at < now() - make_interval(secs => %(settled)s);

-- name: forget_lost_wakeups
-- These queues are empty, so what was published to them and is still waiting has lost its message: Valkey was emptied,
-- or was away when it was sent, or a worker died with it in its hands.
UPDATE runs SET published_at = NULL
 WHERE state = 'queued' AND not_before <= now() AND published_at < now() - make_interval(secs => %(settled)s)
   AND queue = ANY (%(queues)s);

-- name: claim_run
-- One delivery wins, and everything that planning needs comes back in the same trip. A run whose stream is being worked
-- on in the same track stays queued: whoever finishes wakes it.
WITH claimed AS (
    UPDATE runs r
       SET state = 'running', claim_no = r.claim_no + 1, lease_until = now() + make_interval(secs => %(lease)s),
           worker = %(worker)s, claimed_at = now(), started_at = coalesce(r.started_at, now()), wait_reason = NULL,
           backend_pid = NULL
      FROM connections c
     WHERE r.id = %(run)s AND r.state = 'queued' AND r.not_before <= now()
       AND c.id = r.connection_id AND c.paused_at IS NULL
       AND NOT EXISTS (SELECT FROM runs o
                        WHERE o.stream_id = r.stream_id AND o.track = r.track AND o.state = 'running')
    RETURNING r.*
)
SELECT r.id, r.claim_no, r.stream_id, r.connection_id, r.account, r.track, r.scope, r.lane, r.cause, r.attempt,
       r.request_id, r.steps, r.pages, r.records_rejected,
       extract(epoch FROM now() - greatest(r.not_before, r.created_at))::float8 AS waited,
       s.name AS stream, s.bucket, s.history_days, s.history_done_at,
       c.name AS connection, c.system, c.settings, c.secrets,
       u.watermark, u.position, u.window_since, u.window_until,
       clock_timestamp() AS claimed_at
  FROM claimed r
  JOIN streams s ON s.id = r.stream_id
  JOIN connections c ON c.id = r.connection_id
  LEFT JOIN cursors u ON u.stream_id = r.stream_id AND u.track = r.track AND u.slice = '';

-- name: renew_leases
-- All runs of a process at once. What doesn't come back is no longer ours. A row that somebody holds is still ours, but
-- is passed over until the next time: the other runs must not lose their leases by it.
WITH ours AS (
    SELECT r.id, r.claim_no, r.cancel_requested_at IS NOT NULL AS cancelled
      FROM unnest(%(runs)s::uuid[], %(claims)s::int[]) AS held (run_id, claim_no)
      JOIN runs r ON r.id = held.run_id AND r.claim_no = held.claim_no AND r.state = 'running'
), free AS (
    SELECT r.id, r.claim_no FROM runs r JOIN ours ON ours.id = r.id AND ours.claim_no = r.claim_no
     WHERE r.state = 'running'
       FOR NO KEY UPDATE OF r SKIP LOCKED
), renewed AS (
    UPDATE runs r SET lease_until = now() + make_interval(secs => %(lease)s) FROM free WHERE r.id = free.id
)
SELECT id, claim_no, cancelled FROM ours;

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

-- name: finish_run
-- The run leaves the ledger of open work for the history, its stream learns the outcome, and whoever waited behind it
-- is named so that it can be woken. A stream that fails again and again is asked less and less often, up to an hour;
-- only its live runs count there, since they are what the schedule asks for.
WITH gone AS (
    DELETE FROM runs WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running' RETURNING *
), kept AS (
    INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state, claim_no,
                             attempt, worker, request_id, created_at, started_at, pages, records_read,
                             records_created, records_updated, records_deleted, records_refused, records_rejected,
                             error_code, error, steps)
    SELECT id,
           %(outcome)s = 'succeeded' AND attempt = 0 AND cause = 'schedule'
               AND records_created + records_updated + records_deleted + records_refused + records_rejected = 0,
           stream_id, connection_id, queue, track, scope, lane, cause, %(outcome)s, claim_no, attempt, worker,
           request_id, created_at, started_at, pages, records_read, records_created, records_updated, records_deleted,
           records_refused, records_rejected, %(error_code)s, %(error)s, %(steps)s
      FROM gone
), noted AS (
    UPDATE streams s
       SET last_run_id = g.id, last_outcome = %(outcome)s, last_finished_at = now(),
           last_success_at = CASE WHEN g.track = 'live' AND %(outcome)s IN ('succeeded', 'partial')
                                  THEN coalesce(%(fresh_at)s, s.last_success_at) ELSE s.last_success_at END,
           history_done_at = CASE WHEN %(history_done)s THEN coalesce(s.history_done_at, now())
                                  ELSE s.history_done_at END,
           last_error_code = %(error_code)s, last_error = %(error)s,
           failures = CASE WHEN g.track <> 'live' OR %(outcome)s = 'cancelled' THEN s.failures
                           WHEN %(outcome)s = 'failed' THEN s.failures + 1
                           ELSE 0 END,
           next_run_at = CASE WHEN g.track = 'live' AND %(outcome)s = 'failed' AND s.next_run_at IS NOT NULL
                              THEN greatest(s.next_run_at, now() + least(interval '1 hour',
                                                                         interval '30 s' * power(2, least(s.failures, 7))))
                              ELSE s.next_run_at END
      FROM gone g WHERE s.id = g.stream_id
)
SELECT g.id, g.pages, g.records_read, g.records_created, g.records_updated, g.records_deleted, g.records_refused,
       g.records_rejected, q.id AS successor, q.queue AS successor_queue
  FROM gone g
  LEFT JOIN LATERAL (
      SELECT w.id, w.queue FROM runs w
       WHERE w.stream_id = g.stream_id AND w.track = g.track AND w.state = 'queued' AND w.not_before <= now()
       ORDER BY w.lane, w.id LIMIT 1
  ) q ON true;

-- name: give_back_run
-- Back to the queue with the time at which it may go on. Fails on `runs_one_queued` where a successor waits already:
-- then `merge_run` follows.
UPDATE runs
   SET state = 'queued', not_before = now() + make_interval(secs => %(wait)s), wait_reason = %(reason)s,
       attempt = attempt + %(spent)s, lease_until = NULL, backend_pid = NULL, published_at = NULL,
       error_code = %(error_code)s, error = %(error)s, steps = %(steps)s
 WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
RETURNING id, queue, cancel_requested_at IS NOT NULL AS cancelled;

-- name: merge_run
-- A successor waits for the same work already, so this run ends in it. What was read is in the cursor.
WITH gone AS (
    DELETE FROM runs WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running' RETURNING *
), successor AS (
    UPDATE runs q
       SET lane = least(q.lane, g.lane), queue = CASE WHEN g.lane < q.lane THEN g.queue ELSE q.queue END,
           not_before = greatest(q.not_before, now() + make_interval(secs => %(wait)s)), wait_reason = %(reason)s,
           attempt = greatest(q.attempt, g.attempt + %(spent)s), published_at = NULL
      FROM gone g
     WHERE q.stream_id = g.stream_id AND q.track = g.track AND q.scope_hash = g.scope_hash AND q.state = 'queued'
    RETURNING q.id, q.queue
)
INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state, merged_into,
                         claim_no, attempt, worker, request_id, created_at, started_at, pages, records_read,
                         records_created, records_updated, records_deleted, records_refused, records_rejected,
                         error_code, error, steps)
SELECT g.id, false, g.stream_id, g.connection_id, g.queue, g.track, g.scope, g.lane, g.cause, 'merged', q.id,
       g.claim_no, g.attempt, g.worker, g.request_id, g.created_at, g.started_at, g.pages, g.records_read,
       g.records_created, g.records_updated, g.records_deleted, g.records_refused, g.records_rejected,
       %(error_code)s, %(error)s, %(steps)s
  FROM gone g CROSS JOIN successor q
RETURNING merged_into AS id, queue, false AS cancelled;

-- name: lapsed_runs
-- No lock here: a stopped worker may hold the row's, and must be found all the same.
SELECT id, claim_no, attempt, worker, backend_pid, steps
  FROM runs
 WHERE state = 'running' AND lease_until < now()
 ORDER BY lease_until
 LIMIT %(batch)s;

-- name: end_backend
-- Only a connection of ours that was there before the lease lapsed: a pid may belong to somebody else by now. Up to a
-- second until its locks are free.
SELECT pg_terminate_backend(a.pid, 1000) AS ended
  FROM runs r JOIN pg_stat_activity a ON a.pid = r.backend_pid
 WHERE r.id = %(run)s AND r.claim_no = %(claim)s AND r.lease_until < now()
   AND a.backend_start < r.lease_until AND a.datname = current_database()
   AND a.application_name LIKE 'headrace %%' AND a.pid <> pg_backend_pid();

-- name: still_lapsed
-- Under the row's lock now, after its worker's connection was ended: has it come back meanwhile? A row that somebody
-- holds is left for the next sweep, or it would keep every other run, and beat itself, waiting.
SELECT id FROM runs
 WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running' AND lease_until < now()
   FOR UPDATE SKIP LOCKED;

-- name: cancel_queued
WITH gone AS (
    DELETE FROM runs WHERE id = %(run)s AND state = 'queued' RETURNING *
), kept AS (
    INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state, claim_no,
                             attempt, worker, request_id, created_at, started_at, pages, records_read,
                             records_created, records_updated, records_deleted, records_refused, records_rejected,
                             error_code, error, steps)
    SELECT id, false, stream_id, connection_id, queue, track, scope, lane, cause, 'cancelled', claim_no, attempt,
           worker, request_id, created_at, started_at, pages, records_read, records_created, records_updated,
           records_deleted, records_refused, records_rejected, 'cancelled', 'Cancelled while it waited.', steps
      FROM gone
)
SELECT id FROM gone;

-- name: cancel_running
-- The worker sees it at its next page, or when it next renews its lease.
UPDATE runs SET cancel_requested_at = coalesce(cancel_requested_at, now())
 WHERE id = %(run)s AND state = 'running'
RETURNING id;

-- name: note_process
INSERT INTO processes AS p (id, kind, name, queues, slots, version)
VALUES (%(id)s, %(kind)s, %(name)s, %(queues)s, %(slots)s, %(version)s)
ON CONFLICT (id) DO UPDATE SET seen_at = now();

-- name: forget_process
DELETE FROM processes WHERE id = %(id)s;

-- name: forget_dead_processes
DELETE FROM processes WHERE seen_at < now() - interval '1 day';

-- name: forget_quarantine
-- What the system hasn't sent for this long has been mended there, or was replaced by something else that is bad.
DELETE FROM quarantine WHERE last_seen_at < now() - interval '90 days';
