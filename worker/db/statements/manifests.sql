-- In which version does a connection read its system, and what does that version say?

-- name: kept_manifest
SELECT system, version, digest, body AS files FROM manifests WHERE system = %(system)s AND version = %(version)s;

-- name: latest_manifest
SELECT system, version, digest, body AS files FROM manifests
 WHERE system = %(system)s ORDER BY seen_at DESC, version DESC LIMIT 1;

-- name: keep_manifest
-- Seen again within the hour it is left alone: every process keeps what it loads, and most of it is there.
INSERT INTO manifests AS m (system, version, digest, body)
VALUES (%(system)s, %(version)s, %(digest)s, %(files)s)
ON CONFLICT (system, version) DO UPDATE
   SET digest = excluded.digest, body = excluded.body, seen_at = now()
 WHERE m.digest <> excluded.digest OR m.seen_at < now() - interval '1 hour';

-- name: systems_of_connections
SELECT DISTINCT system FROM connections;

-- name: pins_of_system
SELECT DISTINCT manifest_version AS version FROM connections WHERE system = %(system)s;

-- name: pin_connections
-- Those that are in no version yet, or in one that this one follows on without a difference for what is kept of them.
UPDATE connections SET manifest_version = %(version)s
 WHERE system = %(system)s
   AND (manifest_version IS NULL OR manifest_version = ANY (%(followed)s::text[]));

-- name: versions_kept
SELECT version, seen_at FROM manifests WHERE system = %(system)s;

-- name: records_to_refit
-- What an older version of the manifest has read: all that is alive, where its keys mean nothing any more; and of the rest
-- what has a version that nothing can be compared with any more.
SELECT key, deleted_at IS NULL AS alive FROM records_NN
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key > %(after)s AND observed_at <= %(at)s
   AND (version IS NOT NULL OR %(keys)s AND deleted_at IS NULL)
 ORDER BY key LIMIT %(most)s;

-- name: bury_rekeyed
-- The content stays as it was last seen.
UPDATE records_NN
   SET deleted_at = now(), delete_reason = 'rekeyed', observed_at = %(at)s, version = NULL, cause_kind = %(cause)s,
       cause_id = %(run)s, change_xid = pg_current_xact_id(), change_seq = nextval('record_change_seq'), change_kind = 'deleted'
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key = ANY (%(names)s) AND deleted_at IS NULL
   AND observed_at <= %(at)s;

-- name: forget_versions
UPDATE records_NN SET version = NULL
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key = ANY (%(names)s) AND version IS NOT NULL
   AND observed_at <= %(at)s;

-- name: count_buried
UPDATE runs SET records_deleted = records_deleted + %(buried)s
 WHERE id = %(run)s AND claim_no = %(claim)s AND state = 'running';

-- name: end_refit
-- Unless another upgrade came meanwhile.
UPDATE streams SET refit = NULL WHERE id = %(stream)s AND refit = %(refit)s;
