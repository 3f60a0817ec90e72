-- Events of webhooks as people see them: what came, what became of it, what was not taken, and once more please.

-- name: read_event
SELECT e.id, c.name AS connection, c.id AS connection_id, s.name AS stream, e.kind, e.key, e.type, e.event_key, e.said_at,
       e.received_at, e.request_id, e.state, e.run_id, e.attempts, e.outcome, e.error, e.done_at, e.not_before
  FROM events e
  JOIN connections c ON c.id = e.connection_id
  LEFT JOIN streams s ON s.id = e.stream_id
 WHERE e.id = %(id)s AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c);

-- name: replay_events
-- What came whole isn't kept for long, so it is asked for this time. What still waits needs no second call.
UPDATE events e
   SET state = 'pending', attempts = 0, not_before = NULL, outcome = NULL, error = NULL, done_at = NULL,
       kind = CASE WHEN e.kind = 'full' AND e.record IS NULL THEN 'record' ELSE e.kind END
 WHERE e.id IN (SELECT o.id FROM events o
                 WHERE o.connection_id = %(connection)s AND o.state <> 'pending'
                   AND (%(id)s::uuid IS NULL OR o.id = %(id)s)
                   AND (%(stream)s::bigint IS NULL OR o.stream_id = %(stream)s)
                   AND (%(state)s::text IS NULL OR o.state = %(state)s)
                   AND (%(since)s::timestamptz IS NULL OR o.received_at >= %(since)s)
                   AND (%(until)s::timestamptz IS NULL OR o.received_at < %(until)s)
                 ORDER BY o.id LIMIT %(most)s
                   FOR UPDATE)
RETURNING e.stream_id;

-- name: prune_event_keys
DELETE FROM event_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM event_keys WHERE received_at < now() - make_interval(days => %(days)s)
     ORDER BY received_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED));

-- name: prune_refusals
-- The id grows with time, so the first ones are the oldest.
DELETE FROM webhook_refusals WHERE id = ANY (ARRAY(
    SELECT id FROM webhook_refusals WHERE id < %(before)s ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED));
