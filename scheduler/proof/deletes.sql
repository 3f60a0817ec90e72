-- What people see of deletes, and decide.

-- name: deletes_of
-- A stream, its fuse, its last sweep that ended, and how many are suspected.
SELECT s.name AS stream, s.options, s.fuse, s.next_sweep_at, s.history_done_at, n.suspected, n.confirmed, n.held,
       to_jsonb(l) - 'stream_id' AS last_sweep
  FROM streams s
 CROSS JOIN LATERAL (
      SELECT count(*) AS suspected, count(reason) AS confirmed,
             count(*) FILTER (WHERE fuse = (s.fuse ->> 'number')::bigint) AS held
        FROM suspects WHERE stream_id = s.id
 ) n
  LEFT JOIN LATERAL (
      SELECT w.* FROM sweeps w WHERE w.stream_id = s.id AND w.verdict IS NOT NULL ORDER BY w.generation DESC LIMIT 1
 ) l ON true
 WHERE s.id = %(stream)s;

-- name: held_deletes
-- Streams that wait for a person. The page is cut before their suspects are counted.
SELECT p.*, (SELECT count(*) FROM suspects u
              WHERE u.stream_id = p.stream_id AND u.fuse = (p.fuse ->> 'number')::bigint) AS held
  FROM (SELECT c.id AS connection_id, c.name AS connection, c.environment, s.id AS stream_id, s.name AS stream, s.fuse
          FROM streams s JOIN connections c ON c.id = s.connection_id
         WHERE s.fuse IS NOT NULL AND s.id > %(after)s AND (%(connection)s::bigint IS NULL OR c.id = %(connection)s)
           AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
         ORDER BY s.id
         LIMIT %(limit)s) p
 ORDER BY p.stream_id;

-- name: suspects_of
-- With what they last held. Where a fuse holds some, these first: they are what is decided on.
SELECT u.key, u.suspected_at, u.missed, u.reason, u.fuse IS NOT NULL AS held, r.source_updated_at, r.observed_at,
       r.raw::text AS raw
  FROM suspects u
  LEFT JOIN records r ON r.bucket = %(bucket)s AND r.stream_id = u.stream_id AND r.key = u.key
 WHERE u.stream_id = %(stream)s AND (u.fuse IS NULL, u.key) > (%(after_free)s::boolean, %(after_key)s::text)
 ORDER BY u.fuse IS NULL, u.key
 LIMIT %(limit)s;

-- name: lock_fuse
SELECT fuse FROM streams WHERE id = %(stream)s FOR NO KEY UPDATE;

-- name: note_decision
UPDATE streams SET fuse = fuse || %(decision)s WHERE id = %(stream)s;

-- name: reject_deletes
WITH forgotten AS (
    DELETE FROM suspects WHERE stream_id = %(stream)s RETURNING key
), lifted AS (
    UPDATE streams SET fuse = NULL WHERE id = %(stream)s
)
SELECT count(*) AS forgotten FROM forgotten;
