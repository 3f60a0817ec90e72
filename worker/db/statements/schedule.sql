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

-- name: wakeable
-- Which waiting runs get a message now? A queue is topped up to a small multiple of the slots that serve it, so that a
-- backlog stays here, where its order can still change, and doesn't multiply messages. Accounts take turns, and
-- connections within an account: one with a thousand runs is served as often as one with a single run. A queue that
-- nobody serves gets none: they would pile up in Valkey, and a worker that starts is seen within seconds.
--
-- Connections that wait are visited one after the other, from index entry to index entry, from where the last look ended
-- (`after`) and until there is enough for the room that is free: a look costs what it wakes, and not what waits. Where all
-- were visited, each offers several runs and accounts take turns; where there are more than there is room for, each offers
-- one, and `stopped_at` comes back, from which to go on.
WITH room AS MATERIALIZED (
    SELECT s.queue, coalesce(place.after, 0) AS after,
           greatest(%(least)s, %(multiple)s * s.slots)
           - (SELECT count(*) FROM runs r
               WHERE r.queue = s.queue AND r.state = 'queued' AND r.published_at IS NOT NULL) AS free
      FROM served_queues s
      LEFT JOIN unnest(%(queues)s::text[], %(afters)s::bigint[]) AS place (queue, after) ON place.queue = s.queue
), visited AS MATERIALIZED (
    SELECT room.queue, room.free, room.after, v.connection_id, v.ready, v.found, v.step
      FROM room CROSS JOIN LATERAL (
          WITH RECURSIVE ring (connection_id, ready, found, step) AS (
              SELECT room.after, false, 0, 0
              UNION ALL
              SELECT n.connection_id, n.ready, ring.found + n.ready::int, ring.step + 1
                FROM ring CROSS JOIN LATERAL (
                    SELECT w.connection_id,
                           c.id IS NOT NULL AND c.paused_at IS NULL AND EXISTS (
                               SELECT FROM unnest('{0,1,2,3,4}'::smallint[]) AS l (lane) CROSS JOIN LATERAL (
                                   SELECT FROM wakeable_runs r
                                    WHERE r.queue = room.queue AND r.connection_id = w.connection_id AND r.lane = l.lane
                                    LIMIT 1) a) AS ready
                      FROM (SELECT r.connection_id FROM runs r
                             WHERE r.queue = room.queue AND r.state = 'queued' AND r.published_at IS NULL
                               AND r.connection_id > ring.connection_id
                             ORDER BY r.connection_id LIMIT 1) w
                      LEFT JOIN connections c ON c.id = w.connection_id
                    OFFSET 0) n  -- or `ready` would be looked up twice
               WHERE ring.step < %(visits)s AND ring.found < room.free
          )
          SELECT * FROM ring WHERE step > 0
      ) v
     WHERE room.free > 0
), looked AS (
    SELECT queue, max(found) AS found, max(connection_id) AS reached,
           max(found) >= max(free) OR max(step) >= %(visits)s AS stopped,
           CASE WHEN max(after) = 0 AND max(found) < max(free) AND max(step) < %(visits)s
                THEN ceil(4.0 * max(free) / greatest(max(found), 1)) ELSE 1 END::bigint AS each
      FROM visited GROUP BY queue
), offered AS (
    SELECT v.queue, v.free, r.place, r.id, r.account, r.lane, r.not_before, r.wait_reason,
           row_number() OVER (PARTITION BY v.queue, v.connection_id ORDER BY r.lane, r.not_before, r.id) AS nth
      FROM visited v JOIN looked ON looked.queue = v.queue
     CROSS JOIN LATERAL (
          SELECT one.* FROM unnest('{0,1,2,3,4}'::smallint[]) AS l (lane) CROSS JOIN LATERAL (
              SELECT r.place, r.id, r.account, r.lane, r.not_before, r.wait_reason FROM wakeable_runs r
               WHERE r.queue = v.queue AND r.connection_id = v.connection_id AND r.lane = l.lane
               ORDER BY r.not_before LIMIT looked.each) one
           ORDER BY one.lane, one.not_before, one.id LIMIT looked.each) r
     WHERE v.ready
), refused AS (
    -- Who was refused by a limit has a place in its account's line. More than a few of them at a time are tried in vain,
    -- each for a claim and a giving back; the others are woken as the line moves on.
    SELECT a.account, (SELECT count(*) FROM (
               SELECT FROM runs l
                WHERE l.account = a.account AND l.state = 'queued' AND l.wait_reason = 'limit' AND l.not_before > now()
                LIMIT %(line)s) few) AS line
      FROM (SELECT DISTINCT account FROM offered) a
), paced AS (
    -- And of a system whose rate is known no more are sent than may begin soon (see `pacing` of beat).
    SELECT q.queue, p.most
      FROM (SELECT DISTINCT queue FROM offered) q
      JOIN unnest(%(paced)s::text[], %(most)s::int[]) AS p (queue, most) ON p.queue = q.queue
), sent AS (
    SELECT r.queue, r.account, count(*) AS n FROM paced JOIN sent_runs r ON r.queue = paced.queue
     GROUP BY r.queue, r.account
), turns AS (
    SELECT o.*, row_number() OVER (PARTITION BY o.queue, o.account ORDER BY o.lane, o.nth, o.not_before, o.id) AS turn
      FROM offered o
), ranked AS (
    SELECT t.place, t.free, row_number() OVER (PARTITION BY t.queue ORDER BY t.turn, t.not_before, t.id) AS rank
      FROM turns t JOIN refused ON refused.account = t.account
      LEFT JOIN paced ON paced.queue = t.queue
      LEFT JOIN sent ON sent.queue = t.queue AND sent.account = t.account
     WHERE t.turn + refused.line + coalesce(sent.n, 0)
           <= coalesce(paced.most, CASE WHEN refused.line > 0 THEN %(line)s ELSE 1000000 END)
        OR t.lane < 3 OR t.wait_reason = 'limit'
), chosen AS (
    -- Another beat may be choosing the same: what it holds is passed over, and what changed meanwhile is elsewhere by now.
    -- Found by where it lies, and not by its id: no plan can make a search of that.
    SELECT r.ctid AS place FROM ranked JOIN runs r ON r.ctid = ranked.place
     WHERE ranked.rank <= ranked.free AND r.state = 'queued' AND r.published_at IS NULL
       FOR NO KEY UPDATE OF r SKIP LOCKED
), woken AS (
    UPDATE runs r SET published_at = now() FROM chosen WHERE r.ctid = chosen.place RETURNING r.id, r.queue
)
SELECT id, queue, NULL::bigint AS stopped_at FROM woken
UNION ALL
SELECT NULL, queue, reached FROM looked WHERE stopped;

-- name: note_published
-- Somebody is about to send for these runs: a beat that looks meanwhile must not do it too. A row that is held is passed
-- over, for its holder is sending, or claims it. What was published before is sent for all the same: that message may have
-- come while the stream was still worked on.
WITH free AS (
    SELECT id FROM runs
     WHERE id = ANY (%(runs)s::uuid[]) AND state = 'queued' AND not_before <= now()
       FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE runs r SET published_at = now() FROM free WHERE r.id = free.id RETURNING r.id, r.queue;

-- name: published_queues
-- Where messages should be by now: whoever takes one claims its run at once.
SELECT DISTINCT queue FROM runs
 WHERE state = 'queued' AND published_at < now() - make_interval(secs => %(settled)s);

-- name: forget_lost_wakeups
-- A message is gone when its queue is empty, or when one that was sent after it is next in line there (`heads`; NULL: the
-- queue is empty), since messages are taken in the order in which they came. Then it was lost with Valkey's memory or in
-- the hands of a worker that died; or a worker took it and keeps the run until its system's turn, and so the patience
-- grows with how long the run had waited when it was sent. What still lies in a queue is never sent again, however long
-- the queue takes.
UPDATE runs r SET published_at = NULL
  FROM unnest(%(queues)s::text[], %(heads)s::uuid[]) AS lying (queue, head)
  LEFT JOIN runs h ON h.id = lying.head AND h.state = 'queued'
 WHERE r.queue = lying.queue AND r.state = 'queued' AND r.published_at IS NOT NULL
   AND r.published_at < CASE WHEN lying.head IS NULL THEN now() ELSE h.published_at END
                        - make_interval(secs => %(settled)s)
   AND (%(forgotten)s OR r.published_at < now() - make_interval(
        secs => least(%(patience)s, greatest(%(settled)s,
            0.5 * extract(epoch FROM r.published_at - greatest(r.not_before, r.created_at))::float8))));

-- name: forget_wakeups
-- A worker that ends holds messages of runs that it didn't begin: who knows that they are gone says so.
UPDATE runs SET published_at = NULL
 WHERE id = ANY (%(runs)s::uuid[]) AND state = 'queued' AND published_at IS NOT NULL;

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

-- name: places_in_queue
-- What stands before some queued runs. Every count ends at a thousand.
SELECT r.id, r.account, r.published_at IS NOT NULL AS published,
       greatest(0, extract(epoch FROM r.not_before - now()))::float8 AS wait,
       before.outstanding, before.earlier, others.waiting, others.connections, work.slots, work.running, past.typical
  FROM runs r
 CROSS JOIN LATERAL (
      SELECT (SELECT count(*) FROM (
                  SELECT FROM runs o
                   WHERE o.queue = r.queue AND o.state = 'queued' AND o.published_at IS NOT NULL
                     AND o.published_at <= coalesce(r.published_at, 'infinity') AND o.id <> r.id
                   LIMIT 1000) few) AS outstanding,
             (SELECT count(*) FROM (
                  SELECT FROM runs o
                   WHERE o.queue = r.queue AND o.connection_id = r.connection_id AND o.state = 'queued'
                     AND o.published_at IS NULL AND o.not_before <= now()
                     AND (o.lane, o.not_before, o.id) < (r.lane, r.not_before, r.id)
                   LIMIT 1000) few) AS earlier
 ) before
 CROSS JOIN LATERAL (
      SELECT count(*) AS waiting, count(DISTINCT few.connection_id) AS connections
        FROM (SELECT o.connection_id FROM runs o
               WHERE o.queue = r.queue AND o.state = 'queued' AND o.published_at IS NULL AND o.not_before <= now()
                 AND o.id <> r.id
               LIMIT 1000) few
 ) others
 CROSS JOIN LATERAL (
      SELECT (SELECT coalesce(sum(p.slots), 0)::int FROM processes p
               WHERE p.kind = 'worker' AND p.seen_at > now() - interval '60 seconds'
                 AND r.queue = ANY (p.queues)) AS slots,
             (SELECT count(*) FROM runs o WHERE o.state = 'running' AND o.queue = r.queue) AS running
 ) work
 CROSS JOIN LATERAL (
      SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY few.took) AS typical
        FROM (SELECT extract(epoch FROM h.finished_at - h.started_at)::float8 AS took FROM run_history h
               WHERE h.connection_id = r.connection_id AND h.started_at IS NOT NULL AND h.track = r.track
               ORDER BY h.id DESC LIMIT 20) few
 ) past
 WHERE r.id = ANY (%(runs)s) AND r.state = 'queued';
