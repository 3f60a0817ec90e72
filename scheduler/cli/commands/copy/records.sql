-- name: records_of
-- Read through a server-side cursor, in the order of the keys, which is the order of the primary key.
SELECT key, raw::text AS raw, version, source_updated_at, observed_at, first_seen_at, deleted_at, change_kind
  FROM records
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key > %(after)s
   AND (deleted_at IS NULL OR %(deleted)s)
 ORDER BY key
 LIMIT %(limit)s;
