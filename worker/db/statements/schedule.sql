-- Which runs are asked for, and who sees to it? Named statements, each with its why.
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
       not_before = CASE WHEN runs.wait_reason IN ('retry', 'window', 'parent') AND excluded.lane < 3 THEN now()
                         ELSE runs.not_before END,
       -- The caller publishes what is ready. What waits on is beat's, and must not count as published when its time comes.
       published_at = CASE WHEN runs.not_before <= now()
                                OR (runs.wait_reason IN ('retry', 'window', 'parent') AND excluded.lane < 3)
                           THEN now() END
RETURNING id, queue, (xmax = 0) AS created, not_before <= now() AS ready;

-- name: owed_parent
-- Does a parent's run come before this one? One that is open or due, or the very first, of a stream that is synced and
-- doesn't fail. Only for so long since the child's run was asked for.
SELECT s.name, extract(epoch FROM now() - child.created_at)::float8 AS age
  FROM runs child
  JOIN streams s ON s.connection_id = %(connection)s AND s.name = ANY (%(parents)s)
 WHERE child.id = %(run)s AND child.created_at > now() - make_interval(secs => %(patience)s)
   AND s.enabled AND s.next_run_at IS NOT NULL AND s.failures = 0
   AND (s.last_success_at IS NULL OR s.next_run_at <= now()
        OR EXISTS (SELECT FROM runs r WHERE r.stream_id = s.id AND r.track = 'live' AND r.attempt = 0))
 ORDER BY s.id LIMIT 1;

-- name: dispatch_due
-- Streams whose time has come get a run each, their time is moved on, and what may be published at once comes back: one
-- statement, one trip, one transaction. Any number of beats may ask at once: each gets other rows, and nobody waits.
-- Not FOR UPDATE: a request for a run looks its stream up by a foreign key, after its row is in; it would wait for this
-- lock, and this beat for its row. A stream that still waits owes one run, not a backlog, so there is nothing to change on
-- a queued one. Where only beat can reckon the next point (`following` is NULL), nothing is done yet: it asks again with
-- what it reckoned, which counts as long as the schedule is the same.
WITH given AS (
    SELECT * FROM unnest(%(streams)s::bigint[], %(schedules)s::text[], %(places)s::bigint[], %(times)s::timestamptz[])
        AS g (stream_id, schedule, place, following)
), due AS MATERIALIZED (
    SELECT s.id, s.connection_id, s.place, s.next_run_at,
           headrace_schedule(s) AS schedule,
           headrace_account(c) AS account, replace(%(queue)s, '*', c.system) AS queue
      FROM streams s JOIN connections c ON c.id = s.connection_id
     WHERE s.next_run_at <= now()
     ORDER BY s.next_run_at
     LIMIT %(batch)s
       FOR NO KEY UPDATE OF s SKIP LOCKED
), timed AS MATERIALIZED (
    SELECT due.id, due.connection_id, due.schedule, due.next_run_at, due.account, due.queue,
           coalesce(due.place, given.place) AS place,
           -- A plant's windows are reckoned with by beat alone.
           coalesce(CASE WHEN NOT due.schedule ? 'windows' THEN headrace_next_point(due.schedule, due.place, now()) END,
                    given.following) AS following
      FROM due LEFT JOIN given ON given.stream_id = due.id AND given.schedule = due.schedule::text
), moved AS (
    UPDATE streams s SET next_run_at = t.following, place = t.place
      FROM timed t WHERE s.id = t.id AND t.following IS NOT NULL
), turns AS (
    -- A message to a worker that would find the stream's last run still at work is for nothing: the end of that run wakes
    -- this one.
    SELECT t.*, row_number() OVER (PARTITION BY t.queue, t.account ORDER BY t.next_run_at, t.id) AS turn
      FROM timed t
     WHERE t.following IS NOT NULL
       AND NOT EXISTS (SELECT FROM runs o WHERE o.stream_id = t.id AND o.track = 'live' AND o.state = 'running')
       -- And where others wait for the account's limit already, it would be refused: it is woken in its turn.
       AND NOT EXISTS (SELECT FROM runs l
                        WHERE l.account = t.account AND l.state = 'queued' AND l.wait_reason = 'limit'
                          AND l.not_before > now())
), paced AS (
    -- Of a system whose rate is known no more are sent than may begin soon (see `pacing` of beat).
    SELECT q.queue, p.most
      FROM (SELECT DISTINCT queue FROM turns) q
      JOIN unnest(%(paced)s::text[], %(most)s::int[]) AS p (queue, most) ON p.queue = q.queue
), sent AS (
    SELECT r.queue, r.account, count(*) AS n FROM paced JOIN sent_runs r ON r.queue = paced.queue
     GROUP BY r.queue, r.account
), places AS (
    SELECT t.id, t.queue, row_number() OVER (PARTITION BY t.queue ORDER BY t.turn, t.next_run_at, t.id) AS place
      FROM turns t
      LEFT JOIN paced ON paced.queue = t.queue
      LEFT JOIN sent ON sent.queue = t.queue AND sent.account = t.account
     WHERE paced.most IS NULL OR t.turn + coalesce(sent.n, 0) <= paced.most
), room AS (
    SELECT u.queue, greatest(%(least)s, %(multiple)s * v.slots)
                    - (SELECT count(*) FROM runs r
                        WHERE r.queue = u.queue AND r.state = 'queued' AND r.published_at IS NOT NULL) AS free
      FROM (SELECT DISTINCT queue FROM turns) u
      JOIN served_queues v ON v.queue = u.queue
), asked AS (
    INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id, published_at)
    SELECT t.id, t.connection_id, t.queue, t.account, 'live', 3, 'schedule', 'sched-' || headrace_uuid7(),
           CASE WHEN p.place <= room.free THEN now() END
      FROM timed t
      LEFT JOIN places p ON p.id = t.id
      LEFT JOIN room ON room.queue = t.queue
     WHERE t.following IS NOT NULL
    ON CONFLICT (stream_id, track, scope_hash) WHERE state = 'queued' DO NOTHING
    RETURNING id, stream_id, queue, published_at IS NOT NULL AS published
)
SELECT t.id AS stream_id, t.following IS NOT NULL AS moved, CASE WHEN t.following IS NULL THEN t.schedule::text END AS schedule,
       a.id AS run_id, a.queue, coalesce(a.published, false) AS published, now() AS now
  FROM timed t LEFT JOIN asked a ON a.stream_id = t.id;

-- name: note_tick
-- A beat's process may be there while its rounds have stopped, so a round says itself that it was.
UPDATE processes SET ticked_at = now() WHERE kind = 'beat' AND name = %(name)s;

-- name: silent_beats
-- Whose rounds have stopped, with no successor of the same name: a container comes back under its old name. A beat of a
-- version that notes no rounds goes by its heartbeat. After a quarter of an hour, whoever took it away meant to.
SELECT p.id, p.name, extract(epoch FROM now() - coalesce(p.ticked_at, p.seen_at))::float8 AS silent
  FROM processes p
 WHERE p.kind = 'beat'
   AND coalesce(p.ticked_at, p.seen_at) < now() - make_interval(secs => %(silent)s)
   AND coalesce(p.ticked_at, p.seen_at) > now() - interval '15 minutes'
   AND NOT EXISTS (SELECT FROM processes o
                    WHERE o.kind = 'beat' AND o.name = p.name AND o.started_at > p.started_at)
 ORDER BY p.name;

-- name: mend_times
-- Postgres's clock was ahead and was put right: what was timed meanwhile would wait until then, be it for years. A stream's
-- next point is never farther than two of its intervals and a pause after failures, a lease never as long as a day, and what
-- was sent or seen was not so in the future. A process that lives writes its row anew.
WITH due AS (
    UPDATE streams SET next_run_at = now()
     WHERE next_run_at > now() + interval '2 hours'
       AND next_run_at > now() + interval '2 hours' + make_interval(secs =>
           CASE WHEN jsonb_typeof(schedule -> 'every') = 'number'
                THEN 2 * poll_stretch * least(greatest(0, (schedule ->> 'every')::numeric), 31622400) ELSE 0 END::float8)
    RETURNING id
), lapsed AS (
    UPDATE runs SET lease_until = now() WHERE state = 'running' AND lease_until > now() + interval '1 day' RETURNING id
), unsent AS (
    UPDATE runs SET published_at = NULL WHERE state = 'queued' AND published_at > now() + interval '1 minute' RETURNING id
), unseen AS (
    DELETE FROM processes WHERE seen_at > now() + interval '1 minute' RETURNING id
)
SELECT (SELECT count(*) FROM due) AS streams, (SELECT count(*) FROM lapsed) AS leases,
       (SELECT count(*) FROM unsent) AS messages, (SELECT count(*) FROM unseen) AS processes;
