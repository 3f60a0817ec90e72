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
SELECT h.stream_id, h.key, least(greatest(b.valid_to, h.first_seen_at), m.at), m.at, h.raw, h.exact, h.content_hash,
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

-- name: prune_tombstones
-- By their own index, the oldest first. Their keys go with them.
WITH old AS (
    SELECT bucket, stream_id, key FROM records
     WHERE deleted_at < now() - make_interval(days => %(days)s)
     ORDER BY deleted_at LIMIT %(batch)s
       FOR UPDATE SKIP LOCKED
)
DELETE FROM records r USING old o
 WHERE r.bucket = o.bucket AND r.stream_id = o.stream_id AND r.key = o.key
RETURNING r.change_xid::text AS xid, r.change_seq;

-- name: version_parts
SELECT relid::regclass::text AS name FROM pg_partition_tree('record_versions') WHERE isleaf ORDER BY 1;

-- name: prune_versions
-- Each stream's own time counts. Where versions are switched off, none is kept. `record_versions_NN` stands for a partition:
-- rows are found again by their place in it, and not by reading all of it.
DELETE FROM record_versions_NN
 WHERE ctid = ANY (ARRAY(
       SELECT v.ctid FROM record_versions_NN v JOIN streams s ON s.id = v.stream_id
        WHERE v.valid_to < now() - make_interval(
              secs => greatest(0, coalesce((s.options ->> 'keep_versions')::float8, 0)))
        LIMIT %(batch)s));

-- name: longest_keep
SELECT coalesce(ceil(max((options ->> 'keep_versions')::float8) / 86400), 0)::int AS days FROM streams;

-- name: prune_quarantine
-- What the system hasn't sent for this long has been mended there, or was replaced by something else that is bad.
DELETE FROM quarantine
 WHERE (stream_id, content_hash) IN (SELECT stream_id, content_hash FROM quarantine
                                      WHERE last_seen_at < now() - make_interval(days => %(days)s) LIMIT %(batch)s);

-- name: prune_deliveries
-- Those that wait for their next attempt stay.
DELETE FROM pending_deliveries
 WHERE (subscription_id, stream_id, key) IN (
       SELECT subscription_id, stream_id, key FROM pending_deliveries
        WHERE next_at IS NULL AND failed_at < now() - make_interval(days => %(days)s) LIMIT %(batch)s);

-- name: prune_verifications
DELETE FROM verifications
 WHERE run_id IN (SELECT run_id FROM verifications
                   WHERE finished_at < now() - make_interval(days => %(days)s) LIMIT %(batch)s);

-- name: removed_streams
SELECT stream_id, bucket FROM removed_streams ORDER BY stream_id LIMIT 100;

-- name: remove_records
DELETE FROM records_NN
 WHERE ctid = ANY (ARRAY(SELECT ctid FROM records_NN WHERE bucket = %(bucket)s AND stream_id = %(stream)s LIMIT %(batch)s));

-- name: remove_versions
DELETE FROM record_versions_NN
 WHERE ctid = ANY (ARRAY(SELECT ctid FROM record_versions_NN WHERE stream_id = %(stream)s LIMIT %(batch)s));

-- name: removal_done
DELETE FROM removed_streams WHERE stream_id = %(stream)s;
