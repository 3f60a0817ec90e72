-- Which of the runs that wait are woken, and what became of the messages? A message is no more than that: the row is the truth.

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
