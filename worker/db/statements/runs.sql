-- What becomes of a run: claimed, renewed, finished, given back, rescued, cancelled. And who is alive to work on it.

-- name: claim_run
-- One delivery wins, and everything that planning needs comes back in the same trip. A run whose stream is being worked
-- on in the same track stays queued: whoever finishes wakes it. And so does one whose account has a line of runs before a
-- limit: it would be refused, for a claim, a question and a giving back (`turn_away` follows).
-- A claim of events doesn't wait for the disk, since the commit of what they told of does; a number that a crash of Postgres
-- takes back with it is hardly given a second time, so the fence holds. Such steps come to the end of the numbers in some
-- 430,000 claims of one run, and begin anew there: whoever held one of the first then has long been told that it lost it.
WITH claimed AS (
    UPDATE runs r
       SET state = 'running', lease_until = now() + make_interval(secs => %(lease)s),
           claim_no = CASE r.track WHEN 'events' THEN ((r.claim_no::bigint + 1 + (random() * 9999)::int) %% 2147483647)::int
                                   ELSE r.claim_no + 1 END,
           worker = %(worker)s, claimed_at = now(), started_at = coalesce(r.started_at, now()), wait_reason = NULL,
           backend_pid = NULL, admitted_at = NULL,
           -- Where the last run of the stream ended one process after the other, the next is alone from the start.
           alone = r.alone OR 'ends_its_worker' IN (coalesce(s.last_error_code, ''), coalesce(s.history_error_code, ''))
      FROM connections c, streams s
     WHERE s.id = r.stream_id AND r.id = %(run)s AND r.state = 'queued' AND r.not_before <= now()
       AND c.id = r.connection_id AND c.paused_at IS NULL
       AND NOT EXISTS (SELECT FROM runs o
                        WHERE o.stream_id = r.stream_id AND o.track = r.track AND o.state = 'running')
       AND (r.lane < 3 OR r.wait_reason = 'limit'
            OR NOT EXISTS (SELECT FROM runs l
                            WHERE l.account = r.account AND l.state = 'queued' AND l.wait_reason = 'limit'
                              AND l.not_before > now()
                           OFFSET %(line)s - 1))
    RETURNING r.*
)
SELECT r.id, r.claim_no, r.stream_id, r.connection_id, r.account, r.track, r.scope, r.lane, r.cause, r.attempt,
       r.request_id, r.steps, r.pages, r.records_rejected, r.alone,
       extract(epoch FROM now() - greatest(r.not_before, r.created_at))::float8 AS waited,
       s.name AS stream, s.bucket, s.history_days, s.history_done_at,
       s.options, s.look_back, s.erased, s.runs_with_records, s.refit,
       c.name AS connection, c.environment, c.system, c.manifest_version, c.settings::text AS settings, c.secrets, c.network,
       c.clock_skew, u.watermark, u.position, u.window_since, u.window_until,
       coalesce(u.slice, CASE WHEN r.track = 'history' THEN '' ELSE r.scope_hash END) AS slice,
       u.updated_at AS moved_at, clock_timestamp() AS claimed_at,
       CASE r.track WHEN 'events' THEN set_config('synchronous_commit', 'off', true) END AS synchronous
  FROM claimed r
  JOIN streams s ON s.id = r.stream_id
  JOIN connections c ON c.id = r.connection_id
  LEFT JOIN LATERAL (
      -- The history's newest slice that isn't done; else the run's own place, which its scope names.
      SELECT u.* FROM cursors u
       WHERE u.stream_id = r.stream_id AND u.track = r.track
         AND CASE WHEN r.track = 'history' THEN u.finished_at IS NULL ELSE u.slice = r.scope_hash END
       ORDER BY u.slice DESC LIMIT 1
  ) u ON true;

-- name: turn_away
-- Its message was for nothing, since the account's line is full: beat sends again when it has moved on.
UPDATE runs r SET published_at = NULL
 WHERE r.id = %(run)s AND r.state = 'queued' AND r.lane >= 3 AND r.wait_reason IS DISTINCT FROM 'limit'
   AND EXISTS (SELECT FROM runs l
                WHERE l.account = r.account AND l.state = 'queued' AND l.wait_reason = 'limit' AND l.not_before > now()
               OFFSET %(line)s - 1);

-- name: admit_run
-- How many runs of this connection are let in and still at work? Where they are few enough, this one is let in, too. One after
-- the other (`lock_connection`): two that are claimed in the same moment don't see each other's claims.
WITH others AS (
    SELECT count(*)::int AS n FROM runs
     WHERE connection_id = %(connection)s AND id <> %(run)s AND state = 'running' AND admitted_at IS NOT NULL
), admitted AS (
    UPDATE runs r SET admitted_at = now() FROM others
     WHERE r.id = %(run)s AND r.claim_no = %(claim)s AND r.state = 'running' AND others.n < %(at_once)s
    RETURNING r.id
)
SELECT n AS others, EXISTS (SELECT FROM admitted) AS admitted FROM others;

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

-- name: finish_run
-- The run leaves the ledger of open work for the history, its stream learns the outcome, and whoever waited behind it
-- is named so that it can be woken. A stream that fails again and again is asked less and less often, up to an hour;
-- only its live runs count there, since they are what the schedule asks for. The history has an outcome of its own.
-- With `pages`, a last page without records is committed by the same stroke: the cursor that follows from it, and its
-- place in the counts. Then a run that somebody wants cancelled is left alone, as if it were lost: it must not succeed.
WITH gone AS (
    DELETE FROM runs
     WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
       AND (%(pages)s = 0 OR cancel_requested_at IS NULL)
    RETURNING id, stream_id, connection_id, queue, track, scope, lane, cause, claim_no, worker, request_id,
              created_at, started_at, cancel_requested_at, records_read, records_created, records_updated, records_deleted,
              records_refused, records_rejected, pages + %(pages)s AS pages,
              CASE WHEN %(pages)s = 0 THEN attempt ELSE 0 END AS attempt    -- a committed page ends a row of failures
), moved AS (
    INSERT INTO cursors AS u (stream_id, track, slice, window_since, window_until, position, watermark, finished_at)
    SELECT stream_id, track, %(slice)s, %(window_since)s::jsonb, %(window_until)s::jsonb, NULL, %(watermark)s::jsonb,
           CASE WHEN track = 'history' THEN now() END
      FROM gone WHERE %(pages)s > 0
    ON CONFLICT (stream_id, track, slice) DO UPDATE
       SET window_since = excluded.window_since, window_until = excluded.window_until, position = NULL,
           watermark = excluded.watermark, finished_at = excluded.finished_at, updated_at = now()
), kept AS (
    INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state, claim_no,
                             attempt, worker, request_id, created_at, started_at, pages, records_read,
                             records_created, records_updated, records_deleted, records_refused, records_rejected,
                             error_code, error, steps)
    SELECT id,
           %(outcome)s = 'succeeded' AND attempt = 0 AND cause IN ('schedule', 'sweep', 'webhook')
               AND records_created + records_updated + records_deleted + records_refused + records_rejected = 0,
           stream_id, connection_id, queue, track, scope, lane, cause, %(outcome)s, claim_no, attempt, worker,
           request_id, created_at, started_at, pages, records_read, records_created, records_updated, records_deleted,
           records_refused, records_rejected, %(error_code)s, %(error)s, %(steps)s
      FROM gone
), noted AS (
    UPDATE streams s
       SET last_run_id = g.id, last_outcome = %(outcome)s, last_finished_at = now(),
           last_success_at = CASE WHEN %(outcome)s IN ('succeeded', 'partial')
                                  THEN coalesce(%(fresh_at)s, s.last_success_at) ELSE s.last_success_at END,
           history_done_at = CASE WHEN %(history_done)s THEN coalesce(s.history_done_at, now())
                                  ELSE s.history_done_at END,
           last_error_code = %(error_code)s, last_error = %(error)s,
           runs_with_records = CASE WHEN %(outcome)s IN ('failed', 'cancelled') THEN s.runs_with_records
                                    WHEN g.records_read > 0 THEN s.runs_with_records + 1 ELSE 0 END,
           failures = CASE %(outcome)s WHEN 'cancelled' THEN s.failures WHEN 'failed' THEN s.failures + 1 ELSE 0 END,
           next_run_at = CASE WHEN %(outcome)s = 'failed' AND s.next_run_at IS NOT NULL
                              THEN greatest(s.next_run_at, now() + least(interval '1 hour',
                                                                         interval '30 s' * power(2, least(s.failures, 7))))
                              ELSE s.next_run_at END
      FROM gone g WHERE s.id = g.stream_id AND g.track = 'live'
), noted_history AS (
    -- A live run that went well must not hide what stops the history, nor ask for it again at once.
    UPDATE streams s
       SET history_done_at = CASE WHEN %(history_done)s THEN coalesce(s.history_done_at, now())
                                  ELSE s.history_done_at END,
           history_error_code = %(error_code)s, history_error = %(error)s,
           history_failures = CASE WHEN %(outcome)s = 'failed' THEN s.history_failures + 1 ELSE 0 END,
           history_next_at = CASE WHEN %(outcome)s = 'failed'
                                  THEN now() + least(interval '6 hours',
                                                     interval '1 minute' * power(2, least(s.history_failures, 9))) END,
           history_paused_at = CASE WHEN %(outcome)s = 'cancelled' AND g.cancel_requested_at IS NOT NULL THEN now()
                                    ELSE s.history_paused_at END
      FROM gone g WHERE s.id = g.stream_id AND g.track = 'history'
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
-- then `merge_run` follows. A run that was rescued twice goes alone from then on, until it has worked for a whole slice.
UPDATE runs
   SET state = 'queued', not_before = now() + make_interval(secs => %(wait)s), wait_reason = %(reason)s,
       attempt = attempt + %(spent)s, lease_until = NULL, backend_pid = NULL, published_at = NULL,
       error_code = %(error_code)s, error = %(error)s, steps = %(steps)s,
       rescues = CASE %(reason)s WHEN 'slice' THEN 0 WHEN 'rescue' THEN rescues + 1 ELSE rescues END,
       alone = CASE %(reason)s WHEN 'slice' THEN false WHEN 'rescue' THEN alone OR rescues >= 1 ELSE alone END
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
           attempt = greatest(q.attempt, g.attempt + %(spent)s), published_at = NULL,
           rescues = greatest(q.rescues, g.rescues + (%(reason)s = 'rescue')::int),
           alone = q.alone OR g.alone OR (%(reason)s = 'rescue' AND g.rescues >= 1)
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
SELECT id, claim_no, attempt, worker, backend_pid, steps, rescues, alone, error_code, error
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

-- name: end_lease
-- The process that had the run to itself has ended, and we were there: nobody needs to wait for the lease to lapse.
UPDATE runs SET lease_until = now(), error_code = 'process_ended', error = %(words)s
 WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
RETURNING id;

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
-- An API hears webhooks, and when it did is remembered longer than who it was.
WITH heard AS (
    INSERT INTO webhook_listeners AS l (id) SELECT %(id)s WHERE %(kind)s = 'api'
    ON CONFLICT (id) DO UPDATE SET seen_at = now()
)
INSERT INTO processes AS p (id, kind, name, queues, slots, version, troubles)
VALUES (%(id)s, %(kind)s, %(name)s, %(queues)s, %(slots)s, %(version)s, %(troubles)s)
ON CONFLICT (id) DO UPDATE SET seen_at = now(), troubles = excluded.troubles;

-- name: forget_process
WITH closed AS (UPDATE webhook_listeners SET closed_at = now() WHERE id = %(id)s)
DELETE FROM processes WHERE id = %(id)s;

-- name: forget_dead_processes
-- A change is judged by who listened in the week before it was found.
WITH closed AS (DELETE FROM webhook_listeners WHERE seen_at < now() - interval '8 days')
DELETE FROM processes WHERE seen_at < now() - interval '1 day';
