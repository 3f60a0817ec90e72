-- What webhooks told of, as the work that it is: what waits, what became of it, and who was forgotten.

-- name: pending_events
-- What a stream's run has to do now, as far as it is committed; none while the stream is switched off. One that failed alone
-- waits for its time. Of whole records no more than so many bytes, and one in any case.
SELECT id, kind, key, said_at, received_at, attempts, request_id, record
  FROM (SELECT e.*, sum(coalesce(octet_length(e.record), 0)) OVER (ORDER BY e.id) AS bytes,
               row_number() OVER (ORDER BY e.id) AS nth
          FROM (SELECT e.* FROM events e
                 WHERE e.stream_id = %(stream)s AND e.state = 'pending'
                   AND (e.not_before IS NULL OR e.not_before <= now())
                   AND EXISTS (SELECT FROM streams s WHERE s.id = %(stream)s AND s.enabled)
                 ORDER BY e.id LIMIT %(most)s) e) due
 WHERE bytes <= %(bytes)s OR nth = 1
 ORDER BY id;

-- name: events_left
-- Before a run of events ends, under its lock: has something come meanwhile? Who comes later finds it gone, and asks for the
-- next; who found it queued and is committed only now is found by beat. The end doesn't wait for the disk: a crash of Postgres
-- that takes it back leaves a run whose lease lapses, and which finds nothing to do.
WITH held AS (
    SELECT r.id FROM runs r WHERE r.id = %(run)s AND r.claim_no = %(claim)s AND r.state = 'running' FOR UPDATE
)
SELECT EXISTS (SELECT FROM held) AS held,
       EXISTS (SELECT FROM events e JOIN streams s ON s.id = e.stream_id AND s.enabled
                WHERE e.stream_id = %(stream)s AND e.state = 'pending'
                  AND (e.not_before IS NULL OR e.not_before <= now())) AS found,
       set_config('synchronous_commit', 'off', true);

-- name: run_behind
-- After a run of events has ended: who came in that moment found it running, and was sent away with its message. Whoever
-- comes from here on may go.
SELECT r.id, r.queue FROM runs r
 WHERE r.stream_id = %(stream)s AND r.track = 'events' AND r.state = 'queued' AND r.not_before <= now()
 ORDER BY r.id LIMIT 1;

-- name: settle_events
-- Done, in the transaction that wrote what they told of: by the copy as it stands now, what became of each. Without a hash it
-- told of a delete. What has an outcome already brought nothing that could be loaded.
UPDATE events e
   SET state = 'done', run_id = %(run)s, record = NULL, error = NULL, not_before = NULL, done_at = clock_timestamp(),
       outcome = coalesce(t.outcome,
                          CASE WHEN t.held IS NULL THEN CASE WHEN t.hash IS NULL THEN 'absent' ELSE 'rejected' END
                               WHEN t.change_xid = pg_current_xact_id() THEN t.change_kind
                               WHEN t.hash IS NULL AND t.deleted_at IS NOT NULL THEN 'unchanged'
                               WHEN t.content_hash = t.hash THEN 'unchanged'
                               ELSE 'older' END)
  FROM (SELECT n.*, r.key AS held, r.change_xid, r.change_kind, r.content_hash, r.deleted_at
          FROM unnest(%(ids)s::uuid[], %(keys)s::text[], %(hashes)s::uuid[], %(outcomes)s::text[])
               AS n (id, key, hash, outcome)
          LEFT JOIN LATERAL (
              SELECT o.key, o.change_xid, o.change_kind, o.content_hash, o.deleted_at FROM records_NN o
               WHERE o.bucket = %(bucket)s AND o.stream_id = %(stream)s AND o.key = n.key
              OFFSET 0
          ) r ON true) t
 WHERE e.id = t.id AND e.state = 'pending'
RETURNING e.outcome;

-- name: put_events_off
-- They failed alone: they are tried again later, or given up with words, and nobody waits for them.
UPDATE events e
   SET attempts = least(32000, e.attempts + 1), run_id = %(run)s, error = t.error, outcome = CASE WHEN t.final THEN 'failed' END,
       state = CASE WHEN t.final THEN 'failed' ELSE 'pending' END,
       record = CASE WHEN t.final THEN NULL ELSE e.record END,
       not_before = CASE WHEN NOT t.final THEN now() + make_interval(secs => t.wait) END,
       done_at = CASE WHEN t.final THEN now() END
  FROM unnest(%(ids)s::uuid[], %(errors)s::text[], %(waits)s::float8[], %(finals)s::boolean[]) AS t (id, error, wait, final)
 WHERE e.id = t.id AND e.state = 'pending';

-- name: try_event_alone
-- Noted before it is tried: its run has ended processes, and whatever does so must be found out.
UPDATE events SET attempts = attempts + 1, run_id = %(run)s WHERE id = %(id)s AND state = 'pending';

-- name: forgotten_events
-- Streams of which something waits and nobody is at work or asked for: a webhook's commit fell together with the claim of the
-- run that it counted on, a run failed, or what failed alone may be tried again. From index entry to index entry: a look costs
-- as many steps as there are streams with something that waits.
WITH RECURSIVE waiting (stream_id) AS (
    (SELECT e.stream_id FROM events e WHERE e.state = 'pending' ORDER BY e.stream_id LIMIT 1)
    UNION ALL
    SELECT (SELECT e.stream_id FROM events e
             WHERE e.state = 'pending' AND e.stream_id > w.stream_id ORDER BY e.stream_id LIMIT 1)
      FROM waiting w WHERE w.stream_id IS NOT NULL
)
SELECT s.id, c.system
  FROM waiting w
  JOIN streams s ON s.id = w.stream_id AND s.enabled
  JOIN connections c ON c.id = s.connection_id AND c.paused_at IS NULL
 WHERE NOT EXISTS (SELECT FROM runs r WHERE r.stream_id = s.id AND r.track = 'events' AND r.state = 'queued')
   AND NOT EXISTS (SELECT FROM runs r WHERE r.stream_id = s.id AND r.track = 'events' AND r.state = 'running')
   AND EXISTS (SELECT FROM events e
                WHERE e.stream_id = s.id AND e.state = 'pending' AND (e.not_before IS NULL OR e.not_before <= now()))
 LIMIT %(batch)s;

-- name: copy_before
-- What is held of these records, before somebody's word of them is taken.
SELECT r.key, r.observed_at, r.deleted_at IS NOT NULL AS deleted
  FROM records_NN r
 WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = ANY (%(keys)s);

-- name: deletes_lately
-- What the fuse goes by: deletes by webhooks within a day. By the index of tombstones.
SELECT (SELECT count(*) FROM records_NN r
         WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.deleted_at > now() - interval '1 day'
           AND r.cause_kind = 'event' AND r.delete_reason IS DISTINCT FROM 'erased') AS deleted;

-- name: are_so_many
-- And whether the stream is so large that more may go.
SELECT count(*) >= %(many)s AS enough
  FROM (SELECT FROM records_NN r
         WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.deleted_at IS NULL LIMIT %(many)s) few;

-- name: note_untold
-- Of what a live run wrote: whatever no webhook told of so far is kept for a while, since one may only be slower than the poll.
-- A word of the whole stream told of it, too. A change is told of after it happened, clocks being as they are.
WITH wrote AS (
    SELECT r.key, r.source_updated_at AS at,
           EXISTS (SELECT FROM events e
                    WHERE e.stream_id = r.stream_id AND (e.key = r.key OR e.key IS NULL)
                      AND e.received_at >= least(now(), coalesce(r.source_updated_at, now() - interval '15 minutes'))
                                           - make_interval(secs => %(tolerance)s)) AS told
      FROM records_NN r
     WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = ANY (%(keys)s) AND r.cause_id = %(run)s
), untold AS (
    INSERT INTO untold_changes AS u (stream_id, key, changed_at)
    SELECT %(stream)s, w.key, w.at FROM wrote w WHERE NOT w.told ORDER BY w.key
    ON CONFLICT (stream_id, key) DO UPDATE SET changed_at = excluded.changed_at
)
SELECT count(*) FILTER (WHERE told) AS told FROM wrote;

-- name: count_told
INSERT INTO webhook_counts AS w (connection_id, stream_id, told)
SELECT s.connection_id, s.id, %(told)s FROM streams s WHERE s.id = %(stream)s
ON CONFLICT (connection_id, stream_id, day) DO UPDATE SET told = w.told + excluded.told;

-- name: judge_untold
-- Who had time enough to be told of, and wasn't, was missed. But for what found us away: a webhook comes between shortly
-- before a change, clocks being as they are, and the end of its time, and only where an API was there all the while, and the
-- connection as it is now, is its silence the system's. A time long before it was found is none of when it was made.
WITH late AS (
    DELETE FROM untold_changes
     WHERE ctid = ANY (ARRAY(SELECT u.ctid FROM untold_changes u
                              WHERE u.found_at < now() - make_interval(secs => %(grace)s)
                              ORDER BY u.found_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
    RETURNING stream_id, key, coalesce(changed_at, found_at - interval '15 minutes') AS at,
              CASE WHEN changed_at > found_at - interval '7 days' THEN least(changed_at, found_at)
                   ELSE found_at - interval '15 minutes' END AS made
), listening AS MATERIALIZED (
    SELECT coalesce(range_agg(tstzrange(opened_at, greatest(opened_at, coalesce(closed_at, seen_at + make_interval(secs => %(beat)s))))),
                    '{}') AS all_times
      FROM webhook_listeners
), judged AS (
    SELECT l.stream_id, count(*) FILTER (WHERE t.told) AS told,
           count(*) FILTER (WHERE NOT t.told AND h.heard) AS missed,
           count(*) FILTER (WHERE NOT t.told AND NOT h.heard) AS unheard
      FROM late l
      JOIN streams s ON s.id = l.stream_id JOIN connections c ON c.id = s.connection_id
     CROSS JOIN listening o
     CROSS JOIN LATERAL (
          SELECT EXISTS (SELECT FROM events e
                          WHERE e.stream_id = l.stream_id AND (e.key = l.key OR e.key IS NULL)
                            AND e.received_at >= l.at - make_interval(secs => %(tolerance)s)) AS told
     ) t
     CROSS JOIN LATERAL (
          SELECT c.updated_at <= l.made - make_interval(secs => %(tolerance)s)
                 AND o.all_times @> tstzrange(l.made - make_interval(secs => %(tolerance)s),
                                              l.made + make_interval(secs => %(grace)s)) AS heard
     ) h
     GROUP BY l.stream_id
), counted AS (
    INSERT INTO webhook_counts AS w (connection_id, stream_id, told, missed, unheard)
    SELECT s.connection_id, s.id, j.told, j.missed, j.unheard
      FROM judged j JOIN streams s ON s.id = j.stream_id ORDER BY s.id
    ON CONFLICT (connection_id, stream_id, day) DO UPDATE
       SET told = w.told + excluded.told, missed = w.missed + excluded.missed, unheard = w.unheard + excluded.unheard
)
SELECT stream_id, told, missed, unheard FROM judged;

-- name: adaptive_streams
-- Streams that may be asked less often while webhooks tell of what changes, with what is known of that.
SELECT s.id, s.poll_stretch AS stretch, coalesce(s.stretched_at < now() - make_interval(secs => %(rest)s), true) AS rested,
       c.told, c.missed
  FROM streams s
 CROSS JOIN LATERAL (
      SELECT coalesce(sum(w.told), 0)::bigint AS told, coalesce(sum(w.missed), 0)::bigint AS missed
        FROM webhook_counts w
       WHERE w.connection_id = s.connection_id AND w.stream_id = s.id AND w.day >= current_date - 1
 ) c
 WHERE s.options ? 'poll' AND s.options ->> 'poll' = 'adaptive' AND s.enabled
   AND (c.told + c.missed > 0 OR s.poll_stretch > 1);

-- name: stretch_streams
-- Who is asked more often from here on is asked so at once.
UPDATE streams s
   SET poll_stretch = g.stretch, stretched_at = now(),
       next_run_at = CASE WHEN g.stretch < s.poll_stretch AND jsonb_typeof(s.schedule -> 'every') = 'number'
                          THEN least(s.next_run_at, now() + make_interval(secs => (s.schedule ->> 'every')::float8 * g.stretch))
                          ELSE s.next_run_at END
  FROM unnest(%(streams)s::bigint[], %(stretches)s::float8[]) AS g (stream_id, stretch)
 WHERE s.id = g.stream_id AND s.poll_stretch <> g.stretch;
