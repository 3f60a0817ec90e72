-- One connection at a time, as people change it through the API and the command line.

-- name: lock_one
-- Held until the change is committed: whoever changes, pauses or deletes it at the same time comes before or after.
SELECT id, file_id, environment, name, system, tenant, labels, settings, secrets, network, budget, applied,
       manifest_version, paused_at IS NOT NULL AS paused
  FROM connections WHERE id = %(id)s FOR NO KEY UPDATE;

-- name: read_one
SELECT id, file_id, environment, name, system, tenant, labels, settings, secrets, network, budget, applied,
       manifest_version, paused_at IS NOT NULL AS paused
  FROM connections WHERE id = %(id)s;

-- name: read_streams_of
SELECT id, connection_id, name, bucket, enabled, schedule, history_days, next_run_at, options
  FROM streams WHERE connection_id = %(id)s ORDER BY id;

-- name: read_times
SELECT paused_at, disconnected_at, created_at, updated_at FROM connections WHERE id = %(id)s;

-- name: name_taken
SELECT 1 FROM connections WHERE environment = %(environment)s AND name = %(name)s AND id <> %(id)s;

-- name: named_after_another
-- Whether a word belongs to a tenant with a longer name than whoever wants it: `acme-north 1`, where `acme` wants it.
SELECT 1 FROM connections c
 WHERE length(c.tenant) > length(%(tenant)s) AND starts_with(lower(%(word)s), lower(c.tenant))
   AND substr(%(word)s, length(c.tenant) + 1, 1) !~ '[[:alnum:]]' AND c.tenant <> ALL (%(tenants)s)
 LIMIT 1;

-- name: budget_of_others
-- Whoever joins a budget can use it up. `environment` and the like are what somebody sees.
SELECT 1 FROM connections c
 WHERE c.system = %(system)s AND c.budget = %(budget)s
   AND NOT coalesce(headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c), false)
 LIMIT 1;

-- name: touch
-- Its streams were changed, and not its row.
UPDATE connections SET updated_at = now() WHERE id = %(id)s;

-- name: reconnect
UPDATE connections SET disconnected_at = NULL, updated_at = now() WHERE id = %(id)s AND disconnected_at IS NOT NULL;

-- name: disconnect
-- What was read stays readable. The references go, so that nothing can be fetched any more.
UPDATE connections
   SET disconnected_at = coalesce(disconnected_at, now()), paused_at = coalesce(paused_at, now()),
       secrets = '{}', network = '{}',
       updated_at = now()
 WHERE id = %(id)s;

-- name: count_streams
SELECT count(*) AS streams FROM streams WHERE connection_id = %(id)s;
