-- How the history of a stream comes in, slice by slice, and what is read again on request.

-- name: history_wanted
-- May a live run ask for the history? Not while somebody has paused it, nor before its pause after a failure is over, nor
-- where it is asked for already.
SELECT s.history_paused_at IS NULL AND coalesce(s.history_next_at <= now(), true)
           AND NOT EXISTS (SELECT FROM runs r WHERE r.stream_id = s.id AND r.track = 'history') AS wanted
  FROM streams s WHERE s.id = %(stream)s;

-- name: start_history
-- All of it is one slice until it is read. Its end names it, so that the newest has the greatest name.
INSERT INTO cursors (stream_id, track, slice, window_since, window_until)
SELECT %(stream)s, 'history', %(slice)s, %(window_since)s, %(window_until)s
 WHERE NOT EXISTS (SELECT FROM cursors WHERE stream_id = %(stream)s AND track = 'history')
ON CONFLICT (stream_id, track, slice) DO NOTHING;

-- name: history_slices
SELECT slice, window_since, window_until, position, watermark, finished_at, updated_at
  FROM cursors WHERE stream_id = %(stream)s AND track = 'history';

-- name: cut_slice
-- A slice that isn't begun becomes two, under the run's fence: its newer part keeps its name, the rest gets one of its own.
WITH fenced AS (
    SELECT r.stream_id FROM runs r WHERE r.id = %(run)s AND r.claim_no = %(claim)s AND r.state = 'running' FOR UPDATE
), kept AS (
    UPDATE cursors u SET window_since = %(seam)s, watermark = %(newer)s, updated_at = now()
      FROM fenced f
     WHERE u.stream_id = f.stream_id AND u.track = 'history' AND u.slice = %(slice)s AND u.finished_at IS NULL
    RETURNING u.stream_id
)
INSERT INTO cursors (stream_id, track, slice, window_since, window_until, watermark)
SELECT stream_id, 'history', %(rest)s, %(since)s, %(seam)s, %(older)s FROM kept
RETURNING slice;

-- name: add_slice
-- What a longer history lacks beside what is there.
INSERT INTO cursors (stream_id, track, slice, window_since, window_until)
VALUES (%(stream)s, 'history', %(slice)s, %(window_since)s, %(window_until)s)
ON CONFLICT (stream_id, track, slice) DO NOTHING;

-- name: trim_slice
UPDATE cursors SET window_since = %(window_since)s, position = NULL, updated_at = now()
 WHERE stream_id = %(stream)s AND track = 'history' AND slice = %(slice)s AND finished_at IS NULL;

-- name: drop_slice
DELETE FROM cursors
 WHERE stream_id = %(stream)s AND track = 'history' AND slice = %(slice)s AND finished_at IS NULL;

-- name: settle_histories
-- After slices were added or dropped: is there anything left to read?
UPDATE streams s
   SET history_done_at = CASE WHEN h.open THEN NULL ELSE coalesce(s.history_done_at, now()) END
  FROM (SELECT stream_id, bool_or(finished_at IS NULL) AS open FROM cursors
         WHERE stream_id = ANY (%(streams)s) AND track = 'history' GROUP BY stream_id) h
 WHERE s.id = h.stream_id AND (s.history_done_at IS NULL) <> h.open;

-- name: pause_history
UPDATE streams SET history_paused_at = coalesce(history_paused_at, now())
 WHERE id = %(stream)s AND history_done_at IS NULL
RETURNING id;

-- name: resume_history
-- Whoever asks for it to go on doesn't wait for the pause after a failure either.
UPDATE streams SET history_paused_at = NULL, history_next_at = NULL
 WHERE id = %(stream)s
RETURNING history_done_at IS NULL AS owed;

-- name: history_runs
SELECT id FROM runs WHERE stream_id = %(stream)s AND track = 'history';

-- name: keep_going
-- A run that was to give up goes on, unless its worker has seen that already.
UPDATE runs SET cancel_requested_at = NULL WHERE stream_id = %(stream)s AND track = 'history';

-- name: pause_cancelled_history
-- A history that somebody cancels while it waits stays so until it is asked for: else the next live run would bring it back.
UPDATE streams s SET history_paused_at = coalesce(s.history_paused_at, now())
  FROM run_history h
 WHERE h.id = %(run)s AND h.track = 'history' AND s.id = h.stream_id AND s.history_done_at IS NULL;

-- name: forget_place
-- A re-sync that has come to its end leaves no cursor behind. Under the run's fence.
DELETE FROM cursors u USING runs r
 WHERE r.id = %(run)s AND r.claim_no = %(claim)s AND r.state = 'running'
   AND u.stream_id = r.stream_id AND u.track = 'records' AND u.slice = r.scope_hash;

-- name: forget_places
-- Of re-syncs, sweeps and comparisons that are over: each scope has a row of its own. Who still waits keeps its place.
DELETE FROM cursors u
 WHERE u.track IN ('records', 'sweep', 'verify') AND u.updated_at < now() - make_interval(days => %(days)s)
   AND NOT EXISTS (SELECT FROM runs r
                    WHERE r.stream_id = u.stream_id AND r.track = u.track AND r.scope_hash = u.slice);
