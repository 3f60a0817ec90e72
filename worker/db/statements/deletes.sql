-- How is a delete noticed that nobody told of? What a sweep has seen, what is missing since, and by what it is confirmed.
-- `records_NN` stands for the partition of the stream's bucket.

-- name: hold_run
-- The fence of what isn't a page. Last in its transaction where the statements before it take long: whoever holds the row
-- keeps its lease from being renewed.
SELECT headrace_require_lease(EXISTS (SELECT FROM runs WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
                                         FOR NO KEY UPDATE), %(run)s) AS held;

-- name: open_sweep
-- The sweep that this run has begun and not ended, unless what it saw is lost: the keys aren't logged.
SELECT s.generation, s.started_at, s.read_at IS NOT NULL AS read
  FROM sweeps s
 WHERE s.stream_id = %(stream)s AND s.run_id = %(run)s AND s.verdict IS NULL
   AND s.pages = (SELECT count(*) FROM swept_pages p WHERE p.stream_id = s.stream_id AND p.generation = s.generation)
 ORDER BY s.generation DESC LIMIT 1;

-- name: begin_sweep
-- A generation of its own for each window that is read from its beginning: what was seen before counts no longer.
WITH older AS (
    DELETE FROM swept_pages WHERE stream_id = %(stream)s
), forgotten AS (
    DELETE FROM sweeps
     WHERE stream_id = %(stream)s AND (verdict IS NULL OR started_at < now() - interval '90 days')
)
INSERT INTO sweeps (stream_id, run_id) VALUES (%(stream)s, %(run)s)
RETURNING generation, started_at;

-- name: stage_keys
WITH begun AS (
    UPDATE sweeps
       SET pages = pages + 1, keys = keys + cardinality(%(keys)s::text[]), unreadable = unreadable + %(rejected)s,
           total = coalesce(%(total)s, total), read_at = CASE WHEN %(done)s THEN now() END
     WHERE stream_id = %(stream)s AND generation = %(generation)s AND verdict IS NULL
    RETURNING stream_id, generation, pages
)
INSERT INTO swept_pages (stream_id, generation, number, keys)
SELECT stream_id, generation, pages, %(keys)s FROM begun;

-- name: plan_by_size
-- Whole streams are compared here, and a loading connection has been told to look up each record by its key.
SELECT set_config('enable_seqscan', 'on', true), set_config('enable_nestloop', 'off', true),
       set_config('work_mem', '64MB', true), set_config('jit', 'off', true);

-- name: weigh_sweep
-- What was seen, against what the copy holds. What was observed or first seen after the sweep began is no candidate.
WITH pages AS MATERIALIZED (
    SELECT keys FROM swept_pages WHERE stream_id = %(stream)s AND generation = %(generation)s
), seen AS (
    SELECT DISTINCT k.key FROM pages CROSS JOIN LATERAL unnest(pages.keys) AS k (key)
), held AS (
    SELECT key, deleted_at, delete_reason, observed_at, first_seen_at FROM records_NN
     WHERE bucket = %(bucket)s AND stream_id = %(stream)s
)
SELECT s.pages = (SELECT count(*) FROM pages) AND s.keys = (SELECT coalesce(sum(cardinality(keys)), 0) FROM pages) AS whole,
       s.unreadable, s.total, c.*
  FROM sweeps s
 CROSS JOIN LATERAL (
      SELECT count(seen.key) AS seen,
             count(held.key) FILTER (WHERE held.deleted_at IS NULL) AS held,
             count(held.key) FILTER (WHERE seen.key IS NULL AND held.deleted_at IS NULL
                                       AND held.observed_at < s.started_at AND held.first_seen_at < s.started_at) AS missing,
             count(seen.key) FILTER (WHERE held.key IS NULL) AS unknown,
             count(seen.key) FILTER (WHERE held.deleted_at < s.started_at
                                       AND held.delete_reason IN ('tombstone', 'delta', 'not_found', 'sweep', 'rekeyed')) AS risen
        FROM seen FULL JOIN held ON held.key = seen.key
 ) c
 WHERE s.stream_id = %(stream)s AND s.generation = %(generation)s AND s.verdict IS NULL;

-- name: past_sweeps
-- How the last complete one and the one before this ended.
SELECT (SELECT seen FROM sweeps WHERE stream_id = %(stream)s AND verdict = 'complete'
         ORDER BY generation DESC LIMIT 1) AS complete,
       l.verdict, l.seen, l.again,
       (SELECT coalesce(sum(deleted), 0)::bigint FROM sweeps
         WHERE stream_id = %(stream)s AND finished_at > now() - interval '1 day') AS deleted
  FROM (VALUES (0)) one (row)
  LEFT JOIN LATERAL (
      SELECT verdict, seen, again FROM sweeps
       WHERE stream_id = %(stream)s AND generation < %(generation)s AND verdict IS NOT NULL
       ORDER BY generation DESC LIMIT 1
  ) l ON true;

-- name: note_missing
-- Suspected anew, or once more, and by one sweep once. Who was seen, deleted or observed meanwhile is suspected no longer.
WITH seen AS MATERIALIZED (
    SELECT DISTINCT k.key FROM swept_pages p CROSS JOIN LATERAL unnest(p.keys) AS k (key)
     WHERE p.stream_id = %(stream)s AND p.generation = %(generation)s
), missing AS MATERIALIZED (
    SELECT r.key, r.observed_at FROM records_NN r
     WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.deleted_at IS NULL
       AND r.observed_at < %(started)s AND r.first_seen_at < %(started)s
       AND NOT EXISTS (SELECT FROM seen WHERE seen.key = r.key)
), cleared AS (
    DELETE FROM suspects s
     WHERE s.stream_id = %(stream)s AND NOT EXISTS (SELECT FROM missing m WHERE m.key = s.key)
)
INSERT INTO suspects AS s (stream_id, key, suspected_at, evidence_at, generation, missed, reason, fuse)
SELECT %(stream)s, m.key, coalesce(o.suspected_at, %(started)s), %(started)s, %(generation)s, coalesce(o.missed, 0) + (o.generation IS DISTINCT FROM %(generation)s)::int,
       o.reason, o.fuse
  FROM missing m
  LEFT JOIN suspects o ON o.stream_id = %(stream)s AND o.key = m.key AND m.observed_at < o.suspected_at
 ORDER BY m.key
ON CONFLICT (stream_id, key) DO UPDATE
   SET suspected_at = excluded.suspected_at, evidence_at = excluded.evidence_at, generation = excluded.generation,
       missed = excluded.missed, reason = excluded.reason, fuse = excluded.fuse;

-- name: suspects_to_ask
-- In no order of the system's: what a filter leaves out must be among the few that are asked for.
SELECT key FROM suspects
 WHERE stream_id = %(stream)s AND generation = %(generation)s AND reason IS NULL
 ORDER BY missed DESC, hashtextextended(key, %(generation)s) LIMIT %(most)s;

-- name: seen_keys
-- Some that the sweep did see, to try whether the system finds what is there.
SELECT DISTINCT k.key FROM (SELECT keys FROM swept_pages
                             WHERE stream_id = %(stream)s AND generation = %(generation)s AND cardinality(keys) > 0
                             ORDER BY number DESC LIMIT %(most)s) p
 CROSS JOIN LATERAL (SELECT u.key FROM unnest(p.keys) AS u (key) LIMIT %(most)s) AS k
 LIMIT %(most)s;

-- name: confirm_absent
-- Asked for by their keys, and not there.
UPDATE suspects s SET reason = 'not_found', evidence_at = a.at
  FROM unnest(%(keys)s::text[], %(times)s::timestamptz[]) AS a (key, at)
 WHERE s.stream_id = %(stream)s AND s.key = a.key;

-- name: clear_suspects
DELETE FROM suspects WHERE stream_id = %(stream)s AND key = ANY (%(keys)s);

-- name: withdraw_sweep
-- Some that the sweep missed are there, so its silence says nothing of the others: as if it had never been.
WITH anew AS (
    DELETE FROM suspects
     WHERE stream_id = %(stream)s AND generation = %(generation)s AND reason IS NULL AND missed = 1
)
UPDATE suspects SET missed = missed - 1
 WHERE stream_id = %(stream)s AND generation = %(generation)s AND reason IS NULL AND missed > 1;

-- name: confirm_missed
UPDATE suspects SET reason = 'sweep'
 WHERE stream_id = %(stream)s AND generation = %(generation)s AND missed >= %(enough)s AND reason IS NULL;

-- name: clear_seen
-- A list that is worth nothing against those it leaves out still shows that those it holds are there.
DELETE FROM suspects s
 WHERE s.stream_id = %(stream)s
   AND s.key IN (SELECT k.key FROM swept_pages p CROSS JOIN LATERAL unnest(p.keys) AS k (key)
                  WHERE p.stream_id = %(stream)s AND p.generation = %(generation)s);

-- name: clear_all_suspects
DELETE FROM suspects WHERE stream_id = %(stream)s;

-- name: count_suspects
SELECT count(*) AS suspected, count(reason) AS confirmed, count(fuse) AS fused,
       (SELECT fuse IS NOT NULL FROM streams WHERE id = %(stream)s) AS fuse
  FROM suspects WHERE stream_id = %(stream)s;

-- name: set_fuse
WITH marked AS (
    UPDATE suspects SET fuse = %(generation)s WHERE stream_id = %(stream)s
)
UPDATE streams SET fuse = %(fuse)s WHERE id = %(stream)s;

-- name: lift_fuse
WITH unmarked AS (
    UPDATE suspects SET fuse = NULL WHERE stream_id = %(stream)s AND fuse IS NOT NULL
)
UPDATE streams SET fuse = NULL WHERE id = %(stream)s;

-- name: read_fuse
SELECT fuse FROM streams WHERE id = %(stream)s;

-- name: suspects_to_bury
-- Those that are confirmed, or, of a fuse, all that it held when a person looked.
SELECT key, coalesce(reason, 'sweep') AS reason, evidence_at FROM suspects
 WHERE stream_id = %(stream)s AND key > %(after)s
   AND CASE WHEN %(fuse)s::bigint IS NULL THEN reason IS NOT NULL ELSE fuse = %(fuse)s END
 ORDER BY key LIMIT %(most)s;

-- name: unknown_keys
-- Of keys that the system doesn't know, those that the copy never held.
SELECT k.key FROM unnest(%(keys)s::text[]) AS k (key)
 WHERE NOT EXISTS (SELECT FROM records_NN r
                    WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = k.key);

-- name: weigh_absent
-- Of keys that were asked for and aren't there: how many the copy holds, beside all that it holds.
SELECT count(*) AS held, count(*) FILTER (WHERE key = ANY (%(keys)s) AND observed_at < %(at)s) AS absent,
       (SELECT coalesce(sum(deleted), 0)::bigint FROM sweeps
         WHERE stream_id = %(stream)s AND finished_at > now() - interval '1 day')
       + (SELECT count(*) FROM records_NN r
           WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.deleted_at > now() - interval '1 day'
             AND r.cause_kind = 'event' AND r.delete_reason IS DISTINCT FROM 'erased') AS deleted,
       nextval(pg_get_serial_sequence('sweeps', 'generation')) AS number
  FROM records_NN WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND deleted_at IS NULL;

-- name: hold_absent
-- What a person may be looking at already stays as it is: then these are confirmed suspects of the next sweep.
WITH held AS (
    UPDATE streams SET fuse = %(fuse)s WHERE id = %(stream)s AND fuse IS NULL RETURNING id
)
INSERT INTO suspects AS s (stream_id, key, suspected_at, evidence_at, generation, reason, fuse)
SELECT %(stream)s, r.key, %(at)s, %(at)s, %(number)s, 'not_found', CASE WHEN EXISTS (SELECT FROM held) THEN %(number)s END
  FROM records_NN r
 WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = ANY (%(keys)s) AND r.deleted_at IS NULL
   AND r.observed_at < %(at)s
 ORDER BY r.key
ON CONFLICT (stream_id, key) DO UPDATE
   SET evidence_at = excluded.evidence_at, reason = excluded.reason, fuse = coalesce(s.fuse, excluded.fuse);

-- name: orphans
-- Of families that came whole: who of them the copy holds and didn't come. For each a range of an index (OFFSET 0): of the primary
-- key where texts sort by their bytes, and elsewhere of one that does (`records_families`).
WITH texts AS MATERIALIZED (SELECT headrace_sorts_by_bytes() AS by_bytes)
SELECT r.key, f.stem
  FROM unnest(%(stems)s::text[], %(stops)s::text[], %(ats)s::timestamptz[]) AS f (stem, stop, at)
 CROSS JOIN LATERAL (
      (SELECT o.key FROM records_NN o
        WHERE o.bucket = %(bucket)s AND o.stream_id = %(stream)s AND o.key >= f.stem AND o.key < f.stop
          AND o.deleted_at IS NULL AND o.observed_at < f.at AND (SELECT by_bytes FROM texts)
       OFFSET 0)
      UNION ALL
      (SELECT o.key FROM records_NN o
        WHERE o.bucket = %(bucket)s AND o.stream_id = %(stream)s AND o.key LIKE '[%%'
          AND o.key COLLATE "C" >= f.stem AND o.key COLLATE "C" < f.stop
          AND o.deleted_at IS NULL AND o.observed_at < f.at AND NOT (SELECT by_bytes FROM texts)
       OFFSET 0)
 ) r
 WHERE r.key <> ALL (%(keys)s::text[])
 ORDER BY r.key;

-- name: keys_to_read
-- Seen, and not in the copy, or buried there before the sweep began: they are asked for by their keys.
SELECT s.key FROM (
      SELECT DISTINCT k.key FROM swept_pages p CROSS JOIN LATERAL unnest(p.keys) AS k (key)
       WHERE p.stream_id = %(stream)s AND p.generation = %(generation)s) s
  LEFT JOIN records_NN r ON r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = s.key
 WHERE (r.key IS NULL AND %(unknown)s)
    OR (r.deleted_at < %(started)s AND r.delete_reason IN ('tombstone', 'delta', 'not_found', 'sweep', 'rekeyed'))
 ORDER BY s.key LIMIT %(most)s;

-- name: end_sweep
WITH forgotten AS (
    DELETE FROM swept_pages WHERE stream_id = %(stream)s AND generation <= %(generation)s
), ended AS (
    UPDATE sweeps
       SET finished_at = now(), verdict = %(verdict)s, seen = %(seen)s, held = %(held)s, missing = %(missing)s,
           unread = %(unread)s, deleted = %(deleted)s, again = %(again)s, words = %(words)s
     WHERE stream_id = %(stream)s AND generation = %(generation)s
)
UPDATE streams
   SET next_sweep_at = CASE WHEN %(again)s AND coalesce((options ->> 'sweep')::float8, 1) > 0
                            THEN least(next_sweep_at, now() + make_interval(secs => %(soon)s)) ELSE next_sweep_at END
 WHERE id = %(stream)s;

-- name: never_sweep
-- What is there can't be listed. A beat that starts tries it again: its version may know how.
UPDATE streams SET next_sweep_at = '9999-01-01' WHERE id = %(stream)s;

-- name: plan_sweeps
-- A first time for streams whose history is done, at their own place in the interval, and an earlier one where the interval
-- became shorter; none where there is nothing to sweep.
WITH wanted AS (
    SELECT s.id, s.place, s.next_sweep_at,
           s.enabled AND s.history_done_at IS NOT NULL AND every.seconds > 0 AS sweeps, every.seconds
      FROM streams s
     CROSS JOIN LATERAL (SELECT coalesce((s.options ->> 'sweep')::float8, %(default)s) AS seconds) every
)
UPDATE streams s
   SET next_sweep_at = CASE WHEN w.sweeps THEN coalesce(
           headrace_next_point(jsonb_build_object('every', w.seconds::bigint), w.place, now()),
           now() + make_interval(secs => w.seconds * random())) END
  FROM wanted w
 WHERE s.id = w.id
   AND CASE WHEN w.sweeps THEN w.next_sweep_at IS NULL OR (w.next_sweep_at = '9999-01-01' AND %(anew)s)
                               OR (w.next_sweep_at < '9999-01-01'
                                   AND w.next_sweep_at > now() + make_interval(secs => w.seconds))
            ELSE w.next_sweep_at IS NOT NULL END;

-- name: due_sweeps
-- Those whose time has come, with their next time. Several beats may look: what one holds is passed over by the others.
WITH due AS (
    SELECT s.id, s.place, c.system, coalesce((s.options ->> 'sweep')::float8, %(default)s) AS seconds
      FROM streams s JOIN connections c ON c.id = s.connection_id
     WHERE s.next_sweep_at <= now() AND s.enabled AND s.history_done_at IS NOT NULL AND c.paused_at IS NULL
       AND coalesce((s.options ->> 'sweep')::float8, %(default)s) > 0
     ORDER BY s.next_sweep_at LIMIT %(batch)s
       FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE streams s
   SET next_sweep_at = coalesce(headrace_next_point(jsonb_build_object('every', due.seconds::bigint), due.place, now()),
                                now() + make_interval(secs => due.seconds))
  FROM due WHERE s.id = due.id
RETURNING s.id, due.system;

-- name: read_cursor
-- Of another slice than the run's own.
SELECT watermark, position, window_since AS since, window_until AS until, updated_at AS moved_at FROM cursors
 WHERE stream_id = %(stream)s AND track = %(track)s AND slice = %(slice)s;

-- name: start_tombstones
-- Like the live cursor, it stands before anything is read: a list that can't be read at first loses nothing.
INSERT INTO cursors (stream_id, track, slice, watermark) VALUES (%(stream)s, 'live', %(slice)s, %(watermark)s)
ON CONFLICT (stream_id, track, slice) DO NOTHING;
