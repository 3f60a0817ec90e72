-- Rules for fields that changed, applied to what is stored already.

-- name: streams_to_screen
SELECT s.id, s.bucket, s.name, s.options, s.screened_to, headrace_rules(s.options) AS rules, c.system, c.manifest_version, c.settings
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE s.screened_as <> headrace_rules(s.options)
 ORDER BY s.id LIMIT 200;

-- name: next_records
SELECT key, raw::text AS raw, exact FROM records
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key > %(after)s
 ORDER BY key LIMIT %(batch)s
   FOR NO KEY UPDATE;

-- name: store_records
-- A change like any other for who reads the feed: what they were given holds too much.
UPDATE records r
   SET raw = n.raw::json, exact = n.exact, content_hash = n.content_hash, change_xid = pg_current_xact_id(),
       change_seq = nextval('record_change_seq'),
       change_kind = CASE WHEN r.deleted_at IS NULL THEN 'updated' ELSE 'deleted' END
  FROM unnest(%(keys)s::text[], %(raws)s::text[], %(exacts)s::bytea[], %(hashes)s::uuid[])
       AS n (key, raw, exact, content_hash)
 WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = n.key;

-- name: next_versions
-- Of the same keys, a part at a time: one record may have had thousands.
SELECT tableoid::bigint AS part, ctid::text AS place, key, valid_to::text AS valid_to, raw::text AS raw, exact
  FROM record_versions
 WHERE stream_id = %(stream)s AND (key, valid_to) > (%(key)s, %(valid_to)s::timestamptz)
   AND (%(last)s::text IS NULL OR key <= %(last)s)
 ORDER BY key, valid_to LIMIT %(batch)s;

-- name: store_version
UPDATE record_versions SET raw = %(raw)s::json, exact = %(exact)s, content_hash = %(hash)s
 WHERE tableoid = %(part)s::oid AND ctid = %(place)s::tid;

-- name: next_quarantined
SELECT content_hash, key, code, reason, raw FROM quarantine
 WHERE stream_id = %(stream)s AND (%(above)s::uuid IS NULL OR content_hash > %(above)s)
 ORDER BY content_hash LIMIT %(batch)s
   FOR UPDATE;

-- name: store_quarantined
UPDATE quarantine SET raw = %(raw)s, reason = %(reason)s WHERE stream_id = %(stream)s AND content_hash = %(hash)s;

-- name: note_screened_to
UPDATE streams SET screened_to = %(last)s WHERE id = %(stream)s AND headrace_rules(options) = %(rules)s RETURNING id;

-- name: note_screened
UPDATE streams SET screened_as = %(rules)s, screened_to = NULL
 WHERE id = %(stream)s AND headrace_rules(options) = %(rules)s RETURNING id;
