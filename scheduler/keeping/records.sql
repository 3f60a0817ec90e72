-- The copy itself, as commands and the API read it.

-- name: records_of
-- In the order of the keys, which is that of the primary key.
SELECT key, raw::text AS raw, version, source_updated_at, observed_at, first_seen_at, deleted_at, change_kind
  FROM records
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key > %(after)s
   AND (deleted_at IS NULL OR %(deleted)s)
 ORDER BY key
 LIMIT %(limit)s;

-- name: record
SELECT key, raw::text AS raw, version, source_updated_at, observed_at, first_seen_at, deleted_at, change_kind
  FROM records
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key = %(key)s;
