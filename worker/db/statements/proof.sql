-- What a run set aside, which fields records have, and what comparisons with the source found.

-- name: set_aside_by
-- Why, and on which pages. Asked only by a run that set something aside.
SELECT code, count(*) AS records, array_agg(DISTINCT page ORDER BY page) AS pages
  FROM quarantine WHERE stream_id = %(stream)s AND run_id = %(run)s
 GROUP BY code ORDER BY records DESC, code;

-- name: holds_records
SELECT EXISTS (SELECT FROM records WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND deleted_at IS NULL) AS found;

-- name: known_fields
SELECT path, types FROM stream_fields WHERE stream_id = %(stream)s;

-- name: note_stream_fields
-- What was seen since the last time, and what of it is news: a field that wasn't there, or a type of another family (a
-- number where there was text; a whole number that grows a fraction is none). While the history comes in, all is learned, and
-- so is all of the first records of a stream whose history was empty.
WITH seen AS (
    SELECT n.path, n.types, n.example, n.seen, n.missed, n.gap,
           ARRAY(SELECT DISTINCT CASE t WHEN 'integer' THEN 'number' WHEN 'date' THEN 'text' WHEN 'time' THEN 'text' ELSE t END
                   FROM unnest(n.types) AS t WHERE t <> 'null') AS families,
           f.state AS state_before, f.types AS types_before,
           ARRAY(SELECT DISTINCT CASE t WHEN 'integer' THEN 'number' WHEN 'date' THEN 'text' WHEN 'time' THEN 'text' ELSE t END
                   FROM unnest(f.types) AS t WHERE t <> 'null') AS families_before
      FROM jsonb_to_recordset(%(fields)s)
           AS n (path text[], types text[], example text, seen bigint, missed bigint, gap bigint)
      LEFT JOIN stream_fields f ON f.stream_id = %(stream)s AND f.path = n.path
), judged AS (
    SELECT s.*,
           CASE WHEN (%(learning)s OR NOT EXISTS (SELECT FROM stream_fields WHERE stream_id = %(stream)s))
                     AND state_before IS DISTINCT FROM 'vanished' THEN coalesce(state_before, 'known')
                WHEN state_before IS NULL THEN 'new'
                WHEN families_before <> '{}' AND NOT families <@ families_before THEN 'retyped'
                WHEN state_before = 'vanished' AND seen > 0 THEN 'known'
                ELSE state_before END AS state
      FROM seen s
), written AS (
    INSERT INTO stream_fields AS f (stream_id, path, types, state, example, seen, missed, gap)
    SELECT %(stream)s, path, types, state, example, seen, missed, gap FROM judged ORDER BY path
    ON CONFLICT (stream_id, path) DO UPDATE
       SET types = ARRAY(SELECT DISTINCT t FROM unnest(f.types || excluded.types) AS t ORDER BY t),
           was = CASE WHEN excluded.state = 'retyped' AND f.state <> 'retyped' THEN f.types
                      WHEN excluded.state = 'retyped' THEN f.was END,
           changed_at = CASE WHEN excluded.state <> f.state THEN now() ELSE f.changed_at END,
           state = excluded.state, example = coalesce(excluded.example, f.example), seen = f.seen + excluded.seen,
           gap = CASE WHEN excluded.seen > 0 THEN greatest(f.gap, f.missed, excluded.gap) ELSE f.gap END,
           missed = CASE WHEN excluded.seen > 0 THEN excluded.missed ELSE f.missed + excluded.missed END,
           last_seen_at = CASE WHEN excluded.seen > 0 THEN now() ELSE f.last_seen_at END
)
SELECT path, state FROM judged WHERE state IS DISTINCT FROM coalesce(state_before, 'known');

-- name: vanished_fields
-- Missed in many records, in far more than it was ever missed before, and for a day.
UPDATE stream_fields SET state = 'vanished', changed_at = now()
 WHERE stream_id = %(stream)s AND state <> 'vanished' AND missed >= greatest(200, 5 * gap)
   AND last_seen_at < now() - interval '1 day'
RETURNING path, state;

-- name: quarantined_batch
-- Those that weren't tried since this run was claimed: what fails is marked, so each is tried once.
SELECT content_hash, key, code, reason, raw, last_seen_at FROM quarantine
 WHERE stream_id = %(stream)s AND (retried_at IS NULL OR retried_at < %(since)s)
   AND (%(hashes)s::uuid[] IS NULL OR content_hash = ANY (%(hashes)s::uuid[]))
 ORDER BY last_seen_at, content_hash LIMIT %(batch)s;

-- name: release_quarantined
DELETE FROM quarantine q
 USING unnest(%(hashes)s::uuid[], %(seen)s::timestamptz[]) AS t (content_hash, seen_at)
 WHERE q.stream_id = %(stream)s AND q.content_hash = t.content_hash AND q.last_seen_at = t.seen_at;

-- name: note_retried
-- Whatever of them is left, what Postgres refused once more among it: each is tried once.
UPDATE quarantine q SET retried_at = now(), code = coalesce(t.code, q.code), reason = coalesce(t.reason, q.reason)
  FROM unnest(%(hashes)s::uuid[], %(codes)s::text[], %(reasons)s::text[]) AS t (content_hash, code, reason)
 WHERE q.stream_id = %(stream)s AND q.content_hash = t.content_hash;

-- name: held_records
SELECT key, content_hash, observed_at, source_updated_at, deleted_at IS NOT NULL AS deleted
  FROM records_NN WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key = ANY (%(keys)s);

-- name: held_after
SELECT key, content_hash, observed_at, source_updated_at, deleted_at IS NOT NULL AS deleted
  FROM records_NN WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key > %(after)s
 ORDER BY key LIMIT %(batch)s;

-- name: count_held
-- Asked several times in each comparison, so from the indexes alone: that of the keys, and that of the tombstones.
SELECT n.held - t.tombstones AS records, t.tombstones
  FROM (SELECT count(*) AS held FROM records_NN WHERE bucket = %(bucket)s AND stream_id = %(stream)s) n
 CROSS JOIN (SELECT count(*) AS tombstones FROM records_NN
              WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND deleted_at IS NOT NULL) t;

-- name: some_held
-- Keys are drawn from the index; only those drawn are looked up.
WITH drawn AS MATERIALIZED (
    SELECT key FROM records_NN
     WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND random() < %(share)s
)
SELECT r.key, r.content_hash, r.observed_at, r.source_updated_at, false AS deleted
  FROM (SELECT key FROM drawn ORDER BY random() LIMIT %(most)s) d
  JOIN records_NN r ON r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = d.key
 WHERE r.deleted_at IS NULL;

-- name: contents_of
SELECT key, raw::text AS raw FROM records_NN
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key = ANY (%(keys)s);

-- name: verify_facts
-- What the copy is due to know: how far the live runs have read, how far back the history goes, and how the comparison
-- before this one ended. A difference without a time counts once a sync, or a sweep, since then has not mended it.
SELECT u.watermark, s.last_success_at, s.next_sweep_at < '9999-01-01' AS swept, s.history_done_at,
       (SELECT CASE WHEN count(*) = count(h.window_since) THEN min(h.window_since #>> '{}') END
          FROM cursors h WHERE h.stream_id = s.id AND h.track = 'history') AS since,
       v.waiting, v.finished_at AS waiting_since,
       s.last_success_at > v.finished_at AS synced_since,
       EXISTS (SELECT FROM sweeps w
                WHERE w.stream_id = s.id AND w.verdict = 'complete' AND w.started_at > v.finished_at) AS swept_since
  FROM streams s
  LEFT JOIN cursors u ON u.stream_id = s.id AND u.track = 'live' AND u.slice = ''
  LEFT JOIN LATERAL (
      SELECT waiting, finished_at FROM verifications WHERE stream_id = s.id AND run_id <> %(run)s
       ORDER BY run_id DESC LIMIT 1
  ) v ON true
 WHERE s.id = %(stream)s;

-- name: keep_verification
-- Under the fence, before the run ends: whoever finds it without its end does it again, and says the same of the same run.
WITH held AS (
    SELECT FROM runs WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running'
), kept AS (
    INSERT INTO verifications AS v (run_id, stream_id, started_at, methods, scope, allowance, requests, checked,
                                    copy_records, source_records, missing, extra, different, pending, repaired, proven,
                                    words, examples, waiting)
    SELECT %(run)s, %(stream)s, %(started_at)s, %(methods)s, %(scope)s, %(allowance)s, %(requests)s, %(checked)s,
           %(copy_records)s, %(source_records)s, %(missing)s, %(extra)s, %(different)s, %(pending)s, %(repaired)s,
           %(proven)s, %(words)s, %(examples)s, %(waiting)s
      FROM held
    ON CONFLICT (run_id) DO UPDATE
       SET finished_at = now(), methods = excluded.methods, scope = excluded.scope, requests = excluded.requests,
           checked = excluded.checked, copy_records = excluded.copy_records, source_records = excluded.source_records,
           missing = excluded.missing, extra = excluded.extra, different = excluded.different,
           pending = excluded.pending, repaired = excluded.repaired, proven = excluded.proven, words = excluded.words,
           examples = excluded.examples, waiting = excluded.waiting
), noted AS (
    UPDATE streams SET proven_at = CASE WHEN %(proven)s THEN now() ELSE proven_at END, drift = %(drift)s
      FROM held WHERE id = %(stream)s
)
SELECT headrace_require_lease(EXISTS (SELECT FROM held), %(run)s) AS held;

-- name: ask_for_sweep
-- Where the stream is swept at all, soon instead of in its turn.
UPDATE streams SET next_sweep_at = least(next_sweep_at, now())
 WHERE id = %(stream)s AND next_sweep_at < '9999-01-01';

-- name: plan_verifications
-- A first time for streams whose history is done, at their own place in the interval, and an earlier one where the interval
-- became shorter; none where nothing is to be compared.
WITH wanted AS (
    SELECT s.id, s.place, s.next_verify_at,
           s.enabled AND s.history_done_at IS NOT NULL AND every.seconds > 0 AS compares, every.seconds
      FROM streams s
     CROSS JOIN LATERAL (SELECT coalesce((s.options ->> 'verify')::float8, %(default)s) AS seconds) every
)
UPDATE streams s
   SET next_verify_at = CASE WHEN w.compares THEN coalesce(
           headrace_next_point(jsonb_build_object('every', w.seconds::bigint), w.place, now()),
           now() + make_interval(secs => w.seconds * random())) END
  FROM wanted w
 WHERE s.id = w.id
   AND CASE WHEN w.compares THEN w.next_verify_at IS NULL
                                 OR w.next_verify_at > now() + make_interval(secs => w.seconds)
            ELSE w.next_verify_at IS NOT NULL END;

-- name: due_verifications
-- Those whose time has come, with their next time. Several beats may look: what one holds is passed over by the others.
WITH due AS (
    SELECT s.id, s.place, c.system, coalesce((s.options ->> 'verify')::float8, %(default)s) AS seconds
      FROM streams s JOIN connections c ON c.id = s.connection_id
     WHERE s.next_verify_at <= now() AND s.enabled AND c.paused_at IS NULL
       AND coalesce((s.options ->> 'verify')::float8, %(default)s) > 0
     ORDER BY s.next_verify_at LIMIT %(batch)s
       FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE streams s
   SET next_verify_at = coalesce(headrace_next_point(jsonb_build_object('every', due.seconds::bigint), due.place, now()),
                                 now() + make_interval(secs => due.seconds))
  FROM due WHERE s.id = due.id
RETURNING s.id, due.system;
