-- What of a record is kept, and for how long: its versions, what was erased, what is on its way out.

-- name: erasures_of
SELECT key_digest, made_with FROM erasures WHERE stream_id = %(stream)s;

-- name: keep_versions
-- What these records are before they change. Locked first, in the order of their keys, so that nobody changes them between
-- here and there; then one time for all, at which their states end.
WITH held AS MATERIALIZED (
    SELECT r.* FROM records_NN r
     WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = ANY (%(keys)s)
     ORDER BY r.key
       FOR NO KEY UPDATE
), moment AS MATERIALIZED (
    SELECT clock_timestamp() AS at FROM (SELECT count(*) FROM held) counted
)
INSERT INTO record_versions (stream_id, key, valid_from, valid_to, raw, exact, content_hash, version, observed_at,
                             source_updated_at, first_seen_at, deleted_at, delete_reason, change_kind, cause_id, ended_by)
SELECT h.stream_id, h.key, least(greatest(b.valid_to, h.observed_at, h.first_seen_at), m.at), m.at, h.raw, h.exact, h.content_hash,
       h.version, h.observed_at, h.source_updated_at, h.first_seen_at, h.deleted_at, h.delete_reason, h.change_kind,
       h.cause_id, %(run)s
  FROM held h
 CROSS JOIN moment m
  LEFT JOIN LATERAL (
      SELECT v.valid_to FROM record_versions v
       WHERE v.stream_id = h.stream_id AND v.key = h.key
       ORDER BY v.valid_to DESC LIMIT 1
  ) b ON true;

-- name: drop_unchanged_versions
-- Of what was kept in this transaction, that which nothing took the place of after all.
DELETE FROM record_versions v
 WHERE v.stream_id = %(stream)s AND v.key = ANY (%(keys)s) AND v.xmin = pg_current_xact_id()::xid
   AND v.ended_by = %(run)s
   AND NOT EXISTS (SELECT FROM records_NN r
                    WHERE r.bucket = %(bucket)s AND r.stream_id = v.stream_id AND r.key = v.key
                      AND r.change_xid = pg_current_xact_id());
