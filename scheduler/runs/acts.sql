-- What people do with one run.

-- name: run_to_act_on
-- Open or past, with what it was about; none where that is gone, or isn't seen.
SELECT r.id, r.state, r.track, r.scope, r.lane, s.id AS stream_id, s.name AS stream, s.enabled, c.id AS connection_id,
       c.name AS connection, c.environment, c.tenant, c.system, c.paused_at
  FROM (SELECT id, state, track, scope, lane, stream_id FROM runs WHERE id = %(run)s
        UNION ALL
        SELECT id, state, track, scope, lane, stream_id FROM run_history WHERE id = %(run)s) r
  JOIN streams s ON s.id = r.stream_id
  JOIN connections c ON c.id = s.connection_id
 WHERE headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
 ORDER BY r.state IN ('queued', 'running') DESC LIMIT 1;

-- name: set_events_aside
-- What a run of events was to look at isn't looked at, until somebody has it done after all.
UPDATE events e
   SET state = 'failed', outcome = 'cancelled', error = 'Its run was cancelled.', run_id = %(run)s, record = NULL,
       not_before = NULL, done_at = now()
 WHERE e.stream_id = %(stream)s AND e.state = 'pending';

-- name: take_events_up
-- What a run gave up, or was kept from, is asked for this time.
UPDATE events e
   SET state = 'pending', attempts = 0, outcome = NULL, error = NULL, done_at = NULL,
       kind = CASE WHEN e.kind = 'full' THEN 'record' ELSE e.kind END
 WHERE e.stream_id = %(stream)s AND e.state = 'failed' AND e.run_id = %(run)s;

-- name: ended
-- Which of these are open no more, and into which each was merged.
SELECT asked.id, h.merged_into
  FROM unnest(%(runs)s::uuid[]) AS asked (id)
  LEFT JOIN run_history h ON h.id = asked.id
 WHERE NOT EXISTS (SELECT FROM runs r WHERE r.id = asked.id);
