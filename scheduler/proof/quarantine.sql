-- What was set aside, as screens and the API show it.

-- name: quarantine_of
-- By stream and reason, in the order of the streams' numbers: a page counts its own streams, and no others.
SELECT c.name AS connection, s.name AS stream, q.stream_id, q.code, count(*) AS records, sum(q.seen)::bigint AS seen,
       min(q.first_seen_at) AS first_seen_at, max(q.last_seen_at) AS last_seen_at
  FROM quarantine q JOIN streams s ON s.id = q.stream_id JOIN connections c ON c.id = s.connection_id
 WHERE q.stream_id >= %(after_stream)s::bigint AND (q.stream_id > %(after_stream)s OR q.code > %(after_code)s)
   AND (%(connection)s::bigint IS NULL OR c.id = %(connection)s)
   AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
 GROUP BY q.stream_id, s.id, c.id, q.code
 ORDER BY q.stream_id, q.code
 LIMIT %(limit)s;

-- name: quarantined
-- The latest of a stream.
SELECT content_hash AS id, key, code, reason, run_id, page, seen, first_seen_at, last_seen_at, retried_at,
       octet_length(raw) AS bytes
  FROM quarantine
 WHERE stream_id = %(stream)s
   AND (%(seen)s::timestamptz IS NULL
        OR last_seen_at <= %(seen)s AND (last_seen_at < %(seen)s OR content_hash > %(last)s))
 ORDER BY last_seen_at DESC, content_hash LIMIT %(limit)s;

-- name: quarantined_bytes
SELECT c.name AS connection, s.name AS stream, q.content_hash AS id, q.key, q.code, q.reason, q.run_id, q.page, q.seen,
       q.first_seen_at, q.last_seen_at, q.retried_at, octet_length(q.raw) AS bytes, q.raw
  FROM quarantine q JOIN streams s ON s.id = q.stream_id JOIN connections c ON c.id = s.connection_id
 WHERE q.content_hash BETWEEN %(low)s AND %(high)s
   AND (%(connection)s::bigint IS NULL OR c.id = %(connection)s)
   AND (%(stream)s::bigint IS NULL OR s.id = %(stream)s)
 ORDER BY q.last_seen_at DESC LIMIT 2;

-- name: discard_quarantined
DELETE FROM quarantine
 WHERE stream_id = %(stream)s AND (%(hashes)s::uuid[] IS NULL OR content_hash = ANY (%(hashes)s::uuid[]));

-- name: streams_with_quarantine
SELECT s.id, s.name, s.quarantine_shape, c.system, c.manifest_version, c.settings
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE s.id IN (SELECT stream_id FROM quarantine) AND s.enabled AND c.paused_at IS NULL
 ORDER BY s.id;

-- name: note_quarantine_shape
UPDATE streams SET quarantine_shape = %(mark)s WHERE id = %(stream)s;
