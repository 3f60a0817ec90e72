-- What screens and the API read. Lists go by keyset, never by OFFSET, so that the last page costs what the first does.

-- name: list_connections
-- The page is cut before the streams are counted, so the cost follows what is shown and not what there is.
WITH page AS (
    SELECT * FROM connections
     WHERE (name, id) > (%(after_name)s, %(after_id)s)
     ORDER BY name, id LIMIT %(limit)s
)
SELECT c.id, c.name, c.environment, c.system, c.tenant, c.paused_at, s.streams, s.failing, s.history_pending,
       s.last_success_at, s.next_run_at, r.open_runs
  FROM page c
  CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE enabled) AS streams,
             count(*) FILTER (WHERE enabled AND failures > 0) AS failing,
             count(*) FILTER (WHERE enabled AND history_done_at IS NULL) AS history_pending,
             min(last_success_at) FILTER (WHERE enabled) AS last_success_at,
             min(next_run_at) AS next_run_at
        FROM streams WHERE connection_id = c.id
  ) s
  CROSS JOIN LATERAL (SELECT count(*) AS open_runs FROM runs WHERE connection_id = c.id) r
 ORDER BY c.name, c.id;

-- name: streams_of
-- Open runs are few; the newest of each stream says what happens now.
SELECT s.id, s.name, s.bucket, s.enabled, s.schedule, s.history_days, s.next_run_at, s.history_done_at, s.last_run_id,
       s.last_outcome, s.last_finished_at, s.last_success_at, s.last_error_code, s.last_error, s.failures,
       s.history_paused_at, s.history_error_code, s.history_error, s.options,
       o.state AS open_state, o.track AS open_track, o.not_before, o.wait_reason
  FROM streams s
  LEFT JOIN LATERAL (
      SELECT state, track, not_before, wait_reason FROM runs
       WHERE stream_id = s.id ORDER BY (state = 'running') DESC, lane, id LIMIT 1
  ) o ON true
 WHERE s.connection_id = %(connection)s
 ORDER BY s.name;

-- name: run_ids
-- A run by the beginning of its id: a range of ids, which the primary keys answer.
SELECT id FROM runs WHERE id BETWEEN %(low)s AND %(high)s
UNION
SELECT id FROM run_history WHERE id BETWEEN %(low)s AND %(high)s
ORDER BY id LIMIT 5;

-- name: open_run
SELECT r.id, c.name AS connection, s.name AS stream, r.track, r.scope, r.lane, r.cause, r.state, NULL::uuid AS merged_into,
       r.queue, r.claim_no, r.attempt, r.worker, r.request_id, r.created_at, r.started_at, NULL::timestamptz AS finished_at,
       r.not_before, r.wait_reason, r.lease_until, r.cancel_requested_at, r.pages, r.records_read, r.records_total,
       r.records_created, r.records_updated, r.records_deleted, r.records_refused, r.records_rejected, r.error_code,
       r.error, r.steps
  FROM runs r
  JOIN streams s ON s.id = r.stream_id
  JOIN connections c ON c.id = r.connection_id
 WHERE r.id = %(run)s;

-- name: past_run
-- The connection may be gone by now, and what it did is still known.
SELECT h.id, c.name AS connection, s.name AS stream, h.track, h.scope, h.lane, h.cause, h.state, h.merged_into, h.queue,
       h.claim_no, h.attempt, h.worker, h.request_id, h.created_at, h.started_at, h.finished_at,
       NULL::timestamptz AS not_before, NULL AS wait_reason, NULL::timestamptz AS lease_until,
       NULL::timestamptz AS cancel_requested_at, h.pages, h.records_read, NULL::bigint AS records_total,
       h.records_created, h.records_updated, h.records_deleted, h.records_refused, h.records_rejected, h.error_code,
       h.error, h.steps
  FROM run_history h
  LEFT JOIN streams s ON s.id = h.stream_id
  LEFT JOIN connections c ON c.id = h.connection_id
 WHERE h.id = %(run)s;

-- name: records_of
-- Read through a server-side cursor, in the order of the keys, which is the order of the primary key.
SELECT key, raw::text AS raw, version, source_updated_at, observed_at, first_seen_at, deleted_at, change_kind
  FROM records
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key > %(after)s
   AND (deleted_at IS NULL OR %(deleted)s)
 ORDER BY key
 LIMIT %(limit)s;

-- name: count_records
SELECT count(*) AS records FROM records WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND deleted_at IS NULL;

-- name: watched_runs
-- What a person who waits still has to wait for: the runs asked for, and the history that a first sync leaves behind.
SELECT r.id, s.name AS stream, r.track, r.state, r.not_before, r.wait_reason, r.pages, r.records_read, r.records_total,
       r.attempt, r.error
  FROM runs r JOIN streams s ON s.id = r.stream_id
 WHERE r.id = ANY (%(runs)s) OR (r.stream_id = ANY (%(streams)s) AND r.track = 'history')
 ORDER BY r.id;

-- name: ended_runs
SELECT h.id, s.name AS stream, h.track, h.state, h.merged_into, h.records_read, h.records_created, h.records_updated,
       h.records_deleted, h.records_rejected, h.error_code, h.error
  FROM run_history h LEFT JOIN streams s ON s.id = h.stream_id
 WHERE h.id = ANY (%(runs)s);

-- name: progress
-- How far the streams of a connection are, for a line of live progress.
SELECT c.name AS connection, count(*) AS streams,
       count(*) FILTER (WHERE s.history_done_at IS NOT NULL AND s.last_success_at IS NOT NULL) AS synced,
       max(s.last_error) FILTER (WHERE s.failures > 0) AS error,
       coalesce(sum((SELECT count(*) FROM records r
                      WHERE r.bucket = s.bucket AND r.stream_id = s.id AND r.deleted_at IS NULL)), 0)::bigint AS records
  FROM connections c JOIN streams s ON s.connection_id = c.id AND s.enabled
 WHERE c.name = %(name)s
 GROUP BY c.name;

-- name: overview
SELECT (SELECT count(*) FROM connections) AS connections, s.streams, s.failing, r.running, r.queued
  FROM (SELECT count(*) AS streams, count(*) FILTER (WHERE failures > 0) AS failing FROM streams WHERE enabled) s
 CROSS JOIN (SELECT count(*) FILTER (WHERE state = 'running') AS running,
                    count(*) FILTER (WHERE state = 'queued') AS queued FROM runs) r;

-- name: alive
-- Who was seen within a minute, and what they serve.
SELECT kind, name, queues, slots, version, started_at, extract(epoch FROM now() - seen_at)::float8 AS silent
  FROM processes WHERE seen_at > now() - interval '60 seconds' ORDER BY kind, name;

-- name: systems_in_use
SELECT DISTINCT system FROM connections WHERE paused_at IS NULL ORDER BY system;

-- name: overdue_streams
-- Beat moves the time on as soon as it has asked for the run, so a time in the past means that no beat looks.
SELECT c.name AS connection, s.name AS stream, s.next_run_at, extract(epoch FROM now() - s.next_run_at)::float8 AS late
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE s.next_run_at < now() - interval '2 minutes'
 ORDER BY s.next_run_at LIMIT 5;

-- name: waiting_runs
-- Nothing holds these back, and nobody takes them.
SELECT r.id, c.name AS connection, s.name AS stream, r.queue,
       extract(epoch FROM now() - greatest(r.not_before, r.created_at))::float8 AS waiting
  FROM runs r JOIN streams s ON s.id = r.stream_id JOIN connections c ON c.id = r.connection_id
 WHERE r.state = 'queued' AND r.not_before < now() - interval '2 minutes' AND c.paused_at IS NULL
 ORDER BY r.not_before LIMIT 5;

-- name: failing_streams
SELECT c.name AS connection, s.name AS stream, s.failures, s.last_error_code, s.last_error, s.last_finished_at
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE s.failures > 0 AND s.enabled
 ORDER BY s.failures DESC, c.name, s.name LIMIT 10;

-- name: secret_references
SELECT name, secrets FROM connections WHERE paused_at IS NULL ORDER BY name;
