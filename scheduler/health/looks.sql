-- What the looks of `headrace doctor` and `/readyz` go by.

-- name: alive
-- Who was seen within a minute, and what they serve.
SELECT kind, name, queues, slots, version, started_at, troubles, extract(epoch FROM now() - seen_at)::float8 AS silent
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
SELECT name, environment, secrets, network FROM connections WHERE paused_at IS NULL ORDER BY name;

-- name: subscription_secrets
SELECT s.name, s.secret, s.environment, c.environment AS connection_environment
  FROM subscriptions s LEFT JOIN connections c ON c.id = s.connection_id ORDER BY s.name;
