-- What the screen of `headrace up` shows while everything runs.

-- name: progress
-- How far the streams of a connection are, for a line of live progress.
SELECT c.name AS connection, count(*) AS streams,
       count(*) FILTER (WHERE s.history_done_at IS NOT NULL AND s.last_success_at IS NOT NULL) AS synced,
       max(s.last_error) FILTER (WHERE s.failures > 0) AS error,
       coalesce(sum((SELECT count(*) FROM records r
                      WHERE r.bucket = s.bucket AND r.stream_id = s.id AND r.deleted_at IS NULL)), 0)::bigint AS records
  FROM connections c JOIN streams s ON s.connection_id = c.id AND s.enabled
 WHERE c.name = %(name)s
 GROUP BY c.name;

-- name: overview
SELECT (SELECT count(*) FROM connections) AS connections, s.streams, s.failing, r.running, r.queued
  FROM (SELECT count(*) AS streams, count(*) FILTER (WHERE failures > 0) AS failing FROM streams WHERE enabled) s
 CROSS JOIN (SELECT count(*) FILTER (WHERE state = 'running') AS running,
                    count(*) FILTER (WHERE state = 'queued') AS queued FROM runs) r;
