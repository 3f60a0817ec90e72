-- Which fields records have, and what changed about them.

-- name: drifted_fields
-- What appeared, vanished or changed its type, and nobody has said yet that it is known. By the numbers of the streams, as
-- its index has them.
SELECT c.name AS connection, s.name AS stream, f.stream_id, f.path, f.types, f.state, f.was, f.example, f.seen, f.missed,
       f.first_seen_at, f.last_seen_at, f.changed_at
  FROM stream_fields f JOIN streams s ON s.id = f.stream_id JOIN connections c ON c.id = s.connection_id
 WHERE f.state <> 'known' AND (f.accepted_at IS NULL OR f.accepted_at < f.changed_at)
   AND (f.stream_id, f.path) > (%(after_stream)s::bigint, %(after_path)s::text[])
   AND (%(connection)s::bigint IS NULL OR c.id = %(connection)s)
   AND (%(stream)s::bigint IS NULL OR s.id = %(stream)s)
   AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
 ORDER BY f.stream_id, f.path
 LIMIT %(limit)s;

-- name: fields_of
SELECT path, types, state, was, example, seen, missed, first_seen_at, last_seen_at, changed_at
  FROM stream_fields WHERE stream_id = %(stream)s ORDER BY path;

-- name: accept_fields
-- What is new or of another type is known from now on. What vanished stays so, and isn't news any more.
UPDATE stream_fields SET accepted_at = now(), state = CASE state WHEN 'vanished' THEN state ELSE 'known' END, was = NULL
 WHERE stream_id = %(stream)s AND state <> 'known' AND (accepted_at IS NULL OR accepted_at < changed_at);
