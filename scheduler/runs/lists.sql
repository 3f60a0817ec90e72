-- Runs as screens and the API show them. Lists go by keyset, never by OFFSET, so that the last page costs what the first does.

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
 WHERE r.id = %(run)s AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, c);

-- name: past_run
-- The connection may be gone by now, and what it did is still known to whoever sees everything.
SELECT h.id, c.name AS connection, s.name AS stream, h.track, h.scope, h.lane, h.cause, h.state, h.merged_into, h.queue,
       h.claim_no, h.attempt, h.worker, h.request_id, h.created_at, h.started_at, h.finished_at,
       NULL::timestamptz AS not_before, NULL AS wait_reason, NULL::timestamptz AS lease_until,
       NULL::timestamptz AS cancel_requested_at, h.pages, h.records_read, NULL::bigint AS records_total,
       h.records_created, h.records_updated, h.records_deleted, h.records_refused, h.records_rejected, h.error_code,
       h.error, h.steps
  FROM run_history h
  LEFT JOIN streams s ON s.id = h.stream_id
  LEFT JOIN connections c ON c.id = h.connection_id
 WHERE h.id = %(run)s AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, c);

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
