-- How far the histories of a connection are, and what reading a stream takes.

-- name: histories_of
-- The history's run, where one is open: the one at work before the one that waits. And, as long as nothing was read, what
-- the first live run took, which goes back a day.
SELECT s.id, s.name, s.bucket, s.enabled, s.history_days, s.history_done_at, s.history_paused_at, s.history_next_at,
       s.history_failures, s.history_error_code, s.history_error, headrace_account(c) AS account,
       r.id AS run, r.state, r.not_before, r.wait_reason, f.records, f.requests, f.seconds
  FROM streams s
  JOIN connections c ON c.id = s.connection_id
  LEFT JOIN LATERAL (
      SELECT id, state, not_before, wait_reason FROM runs
       WHERE stream_id = s.id AND track = 'history' ORDER BY (state = 'running') DESC, id LIMIT 1
  ) r ON true
  LEFT JOIN LATERAL (
      SELECT h.records_read AS records, h.pages AS requests,
             extract(epoch FROM h.finished_at - h.started_at)::float8 AS seconds
        FROM run_history h
       WHERE h.stream_id = s.id AND h.track = 'live' AND h.state IN ('succeeded', 'partial')
       ORDER BY h.id LIMIT 1
  ) f ON s.history_done_at IS NULL
 WHERE s.connection_id = %(connection)s AND (%(stream)s::text IS NULL OR s.name = %(stream)s)
 ORDER BY s.name;

-- name: slices_of
SELECT u.stream_id, u.slice, u.window_since, u.window_until, u.position, u.watermark, u.finished_at, u.updated_at
  FROM cursors u WHERE u.stream_id = ANY (%(streams)s) AND u.track = 'history';

-- name: paid_lately
-- What the last runs of a stream that read something took: as a measure for the next.
SELECT coalesce(sum(few.records_read), 0)::bigint AS records, coalesce(sum(few.pages), 0)::bigint AS requests,
       coalesce(sum(few.took), 0)::float8 AS seconds
  FROM (SELECT h.records_read, h.pages, extract(epoch FROM h.finished_at - h.started_at) AS took FROM run_history h
         WHERE h.stream_id = %(stream)s AND h.records_read > 0 AND h.started_at IS NOT NULL
         ORDER BY h.id DESC LIMIT 20) few;

-- name: count_between
-- By what the records say themselves of their last change.
SELECT count(*) AS records FROM records
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND deleted_at IS NULL
   AND (%(since)s::timestamptz IS NULL OR source_updated_at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR source_updated_at <= %(until)s);
