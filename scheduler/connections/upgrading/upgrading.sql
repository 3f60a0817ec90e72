-- A connection goes over to another version of its system's manifest. All of it is one transaction, in this order.

-- name: lock_streams
-- Comes after the open runs have ended: from here on none is asked for, since a new one holds on to its stream.
SELECT id, name, bucket, enabled, erased FROM streams WHERE connection_id = %(connection)s ORDER BY id FOR UPDATE;

-- name: forget_cursors
-- How far the list of deletes was read may still be worth something.
DELETE FROM cursors
 WHERE stream_id = %(stream)s AND NOT (%(keeps_deletes)s AND track = 'live' AND slice = 'tombstones');

-- name: forget_deletes_cursor
DELETE FROM cursors WHERE stream_id = %(stream)s AND track = 'live' AND slice = 'tombstones';

-- name: forget_positions
-- Windows that are open begin anew where they began; what reads a list in one go begins anew.
WITH lists AS (
    DELETE FROM cursors WHERE stream_id = %(stream)s AND track NOT IN ('live', 'history')
)
UPDATE cursors SET position = NULL, updated_at = now()
 WHERE stream_id = %(stream)s AND track IN ('live', 'history') AND position IS NOT NULL;

-- name: forget_lateness
DELETE FROM cursor_lateness WHERE stream_id = %(stream)s;

-- name: forget_doubts
DELETE FROM cursor_doubts WHERE stream_id = %(stream)s;

-- name: forget_suspects
DELETE FROM suspects WHERE stream_id = %(stream)s;

-- name: forget_sweeps
WITH pages AS (DELETE FROM swept_pages WHERE stream_id = %(stream)s)
DELETE FROM sweeps WHERE stream_id = %(stream)s;

-- name: begin_anew
-- As if it had never been synced, but for what is in the copy.
UPDATE streams s
   SET history_done_at = NULL, history_failures = 0, history_next_at = NULL, history_error_code = NULL, history_error = NULL,
       look_back = NULL, proven_at = NULL, drift = NULL, next_sweep_at = NULL,
       fuse = CASE WHEN %(keys)s THEN NULL ELSE s.fuse END,
       runs_with_records = CASE WHEN %(keys)s THEN 0 ELSE s.runs_with_records END,
       next_run_at = CASE WHEN s.enabled AND c.paused_at IS NULL THEN now() ELSE s.next_run_at END
  FROM connections c
 WHERE s.id = %(stream)s AND c.id = s.connection_id;

-- name: refit_stream
-- What an upgrade before this one left to be done is still to be done.
UPDATE streams
   SET refit = jsonb_build_object('at', clock_timestamp(),
                                  'keys', %(keys)s OR coalesce((refit ->> 'keys')::boolean, false))
 WHERE id = %(stream)s;

-- name: due_now
UPDATE streams s SET next_run_at = now()
  FROM connections c
 WHERE s.id = %(stream)s AND c.id = s.connection_id AND c.paused_at IS NULL AND s.enabled;

-- name: switch_off
UPDATE streams SET enabled = false, next_run_at = NULL, next_sweep_at = NULL, next_verify_at = NULL WHERE id = %(stream)s;

-- name: switch_on
UPDATE streams s
   SET enabled = true, next_run_at = CASE WHEN c.paused_at IS NULL THEN now() END
  FROM connections c
 WHERE s.id = %(stream)s AND c.id = s.connection_id;

-- name: change_version
UPDATE connections
   SET manifest_version = %(version)s, manifest_before = %(before)s, settings = %(settings)s, secrets = %(secrets)s,
       updated_at = now()
 WHERE id = %(id)s;

-- name: before_of
SELECT manifest_before FROM connections WHERE id = %(id)s;

-- name: connections_to_upgrade
SELECT c.* FROM connections c
 WHERE headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
   AND (%(system)s::text IS NULL OR c.system = %(system)s)
 ORDER BY c.system, c.name, c.id;

-- name: records_of_stream
SELECT count(*) AS records FROM records
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND deleted_at IS NULL;

-- name: versions_in_use
SELECT system, coalesce(manifest_version, '') AS version, count(*) AS connections
  FROM connections GROUP BY 1, 2 ORDER BY 1, 2;
