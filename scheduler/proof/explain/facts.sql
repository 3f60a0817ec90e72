-- What is known of one record, and of the stream that it belongs to.

-- name: record_facts
SELECT key, version, observed_at, source_updated_at, first_seen_at, deleted_at, delete_reason, change_kind, cause_kind,
       cause_id
  FROM records WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key = %(key)s;

-- name: stream_facts
SELECT s.id, s.name, s.bucket, s.enabled, s.history_days, s.history_done_at, s.history_paused_at, s.next_run_at,
       s.last_success_at, s.last_outcome, s.last_finished_at, s.last_error, s.failures, s.look_back, s.options, s.erased,
       s.fuse, s.drift, s.proven_at, s.next_verify_at,
       CASE WHEN s.next_sweep_at < '9999-01-01' THEN s.next_sweep_at END AS next_sweep_at,
       c.name AS connection, c.paused_at, c.system, u.watermark #>> '{}' AS watermark,
       (SELECT CASE WHEN count(*) = count(h.window_since) THEN min(h.window_since #>> '{}') END
          FROM cursors h WHERE h.stream_id = s.id AND h.track = 'history') AS history_since
  FROM streams s
  JOIN connections c ON c.id = s.connection_id
  LEFT JOIN cursors u ON u.stream_id = s.id AND u.track = 'live' AND u.slice = ''
 WHERE s.id = %(stream)s;

-- name: set_aside_of
SELECT content_hash AS id, code, reason, run_id, page, seen, last_seen_at, retried_at
  FROM quarantine WHERE stream_id = %(stream)s AND key = %(key)s ORDER BY last_seen_at DESC LIMIT 3;

-- name: suspicion_of
SELECT suspected_at, missed, reason, fuse IS NOT NULL AS held FROM suspects WHERE stream_id = %(stream)s AND key = %(key)s;

-- name: erasure_of
SELECT erased_at FROM erasures WHERE stream_id = %(stream)s AND key_digest = %(digest)s;

-- name: open_work_of
SELECT id, track, state, wait_reason, not_before, cause FROM runs
 WHERE stream_id = %(stream)s ORDER BY (state = 'running') DESC, lane, id LIMIT 5;

-- name: verdict_on
-- The last comparison of the stream, and what it said of this record.
SELECT v.run_id, v.finished_at, v.words, v.proven, v.waiting ? %(key)s AS waits,
       (SELECT e ->> 'kind' FROM jsonb_array_elements(v.examples) AS e WHERE e ->> 'key' = %(key)s LIMIT 1) AS kind
  FROM verifications v WHERE v.stream_id = %(stream)s ORDER BY v.run_id DESC LIMIT 1;
