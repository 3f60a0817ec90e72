-- Which runs are asked for, and which of those that wait are woken? Named statements, each with its why.
-- `%(name)s` are parameters. The clock is always the database's, because the clocks of workers differ.

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
