-- What the copy held at a time, and what one run changed.

-- name: versions_known
-- Since when it can be told. A run that was claimed before versions were switched on keeps none, so its end counts, too.
SELECT s.versions_since, now() AS now, (s.options ->> 'keep_versions')::float8 AS keep,
       (SELECT max(h.finished_at) FROM run_history h
         WHERE h.stream_id = s.id AND h.started_at < s.versions_since AND h.finished_at > s.versions_since) AS blind_until,
       EXISTS (SELECT FROM runs r
                WHERE r.stream_id = s.id AND r.state = 'running' AND r.claimed_at < s.versions_since) AS blind_now
  FROM streams s WHERE s.id = %(stream)s;

-- name: records_as_of
-- A page in the order of the keys: states that have ended since, and those that go on. If any state of a record ended
-- later than the time that is asked for, then the present one began later, too; if none did, it has been there since before
-- anything can be told, or since the record was first seen.
SELECT key, raw, version, source_updated_at, observed_at, first_seen_at, deleted_at, change_kind
  FROM (
      (SELECT v.key, v.raw::text AS raw, v.version, v.source_updated_at, v.observed_at, v.first_seen_at, v.deleted_at,
              v.change_kind
         FROM record_versions v
        WHERE v.stream_id = %(stream)s AND v.key > %(after)s AND v.valid_from <= %(at)s AND v.valid_to > %(at)s
          AND (v.deleted_at IS NULL OR %(deleted)s)
        ORDER BY v.key LIMIT %(limit)s)
      UNION ALL
      (SELECT r.key, r.raw::text, r.version, r.source_updated_at, r.observed_at, r.first_seen_at, r.deleted_at,
              r.change_kind
         FROM records r
        WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key > %(after)s
          AND r.first_seen_at <= %(at)s
          AND (r.deleted_at IS NULL OR %(deleted)s)
          AND NOT EXISTS (SELECT FROM record_versions v
                           WHERE v.stream_id = r.stream_id AND v.key = r.key AND v.valid_to > %(at)s)
        ORDER BY r.key LIMIT %(limit)s)
  ) held
 ORDER BY key
 LIMIT %(limit)s;

-- name: record_as_of
-- The same for one record.
SELECT v.key, v.raw::text AS raw, v.version, v.source_updated_at, v.observed_at, v.first_seen_at, v.deleted_at,
       v.change_kind
  FROM record_versions v
 WHERE v.stream_id = %(stream)s AND v.key = %(key)s AND v.valid_from <= %(at)s AND v.valid_to > %(at)s
UNION ALL
SELECT r.key, r.raw::text, r.version, r.source_updated_at, r.observed_at, r.first_seen_at, r.deleted_at, r.change_kind
  FROM records r
 WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.key = %(key)s AND r.first_seen_at <= %(at)s
   AND NOT EXISTS (SELECT FROM record_versions v
                    WHERE v.stream_id = r.stream_id AND v.key = r.key AND v.valid_to > %(at)s)
 LIMIT 1;

-- name: changes_of_run
-- What it brought, where that is still there or was kept since, with what it took the place of. A page in the order of the
-- keys, and of a record that it changed twice in the order of time; what is still there comes last, as if it ended never.
SELECT a.key, a.change_kind, a.raw AS after, b.raw::text AS before, b.deleted_at IS NOT NULL AS was_deleted,
       CASE WHEN isfinite(a.until) THEN a.until END AS superseded_at
  FROM (
      (SELECT r.key, r.change_kind, r.raw::text AS raw, timestamptz 'infinity' AS until
         FROM records r
        WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.cause_id = %(run)s AND r.key >= %(after)s
          AND (r.key > %(after)s OR isfinite(%(until)s::timestamptz))
        ORDER BY r.key LIMIT %(limit)s)
      UNION ALL
      (SELECT v.key, v.change_kind, v.raw::text, v.valid_to
         FROM record_versions v
        WHERE v.stream_id = %(stream)s AND v.cause_id = %(run)s AND v.key >= %(after)s
          AND (v.key, v.valid_to) > (%(after)s, %(until)s::timestamptz)
        ORDER BY v.key, v.valid_to LIMIT %(limit)s)
      ORDER BY key, until LIMIT %(limit)s
  ) a
  LEFT JOIN LATERAL (
      SELECT v.raw, v.deleted_at FROM record_versions v
       WHERE v.stream_id = %(stream)s AND v.key = a.key AND v.ended_by = %(run)s AND v.valid_to < a.until
       ORDER BY v.valid_to DESC LIMIT 1
  ) b ON true
 ORDER BY a.key, a.until;

-- name: keys_of_run
SELECT DISTINCT key FROM (
    SELECT r.key FROM records r
     WHERE r.bucket = %(bucket)s AND r.stream_id = %(stream)s AND r.cause_id = %(run)s
    UNION ALL
    SELECT v.key FROM record_versions v WHERE v.stream_id = %(stream)s AND v.cause_id = %(run)s
) changed
 ORDER BY key LIMIT %(limit)s;

-- name: stream_of_run
SELECT s.id, s.name, s.bucket, s.options, s.versions_since, c.id AS connection_id, c.name AS connection, c.system,
       c.environment, c.tenant, c.paused_at
  FROM (SELECT stream_id FROM runs WHERE id = %(run)s
        UNION ALL SELECT stream_id FROM run_history WHERE id = %(run)s) r
  JOIN streams s ON s.id = r.stream_id
  JOIN connections c ON c.id = s.connection_id
 LIMIT 1;
