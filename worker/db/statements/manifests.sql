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

-- name: versions_of_system
SELECT version, max(seen_at) AS seen_at, sum(connections)::bigint AS connections
  FROM (SELECT version, seen_at, 0 AS connections FROM manifests WHERE system = %(system)s
        UNION ALL
        SELECT manifest_version, NULL, 1 FROM connections
         WHERE system = %(system)s AND manifest_version IS NOT NULL) found
 GROUP BY version;
