-- What the connections file and its commands do to the rows. The clock is the database's.
-- Lists go by keyset, never by OFFSET, so that the last page costs what the first does.

-- name: lock_apply
-- Two applies don't interleave: the second waits here for the first's commit, then plans from what that left behind.
SELECT pg_advisory_xact_lock(hashtextextended('headrace connections', 0)), now() AS now;

-- name: read_connections
SELECT id, file_id, environment, name, system, tenant, labels, settings, secrets, network, budget, applied,
       manifest_version, paused_at IS NOT NULL AS paused
  FROM connections ORDER BY id;

-- name: lock_connections
-- Nobody pauses or resumes one between the plan and its rows.
SELECT id, file_id, environment, name, system, tenant, labels, settings, secrets, network, budget, applied,
       manifest_version, paused_at IS NOT NULL AS paused
  FROM connections ORDER BY id FOR NO KEY UPDATE;

-- name: pins_of_files
SELECT environment, file_id, manifest_version FROM connections WHERE file_id IS NOT NULL;

-- name: read_streams
SELECT id, connection_id, name, bucket, enabled, schedule, history_days, next_run_at, options
  FROM streams ORDER BY connection_id, id;

-- name: count_records
SELECT s.connection_id, count(*) AS records
  FROM streams s JOIN records r ON r.bucket = s.bucket AND r.stream_id = s.id
 WHERE s.connection_id = ANY (%(connections)s)
 GROUP BY s.connection_id;

-- name: clear_names
-- Two connections may exchange their names, and uniqueness is checked row by row: so the old names go first.
UPDATE connections SET name = 'renaming ' || gen_random_uuid() WHERE id = ANY (%(connections)s);

-- name: create_connection
INSERT INTO connections (file_id, environment, system, name, tenant, budget, labels, settings, secrets,
                         network, applied)
VALUES (%(file_id)s, %(environment)s, %(system)s, %(name)s, %(tenant)s, %(budget)s, %(labels)s, %(settings)s,
        %(secrets)s, %(network)s, %(applied)s)
RETURNING id;

-- name: change_connection
UPDATE connections
   SET file_id = %(file_id)s, name = %(name)s, tenant = %(tenant)s, budget = %(budget)s, labels = %(labels)s,
       settings = %(settings)s, secrets = %(secrets)s, network = %(network)s, applied = %(applied)s, updated_at = now()
 WHERE id = %(id)s;

-- name: remember_applied
-- The file's last word, where nothing else changed.
UPDATE connections SET file_id = %(file_id)s, applied = %(applied)s WHERE id = %(id)s;

-- name: create_stream
-- The first sync is due at once. The shared bucket follows from the id, which is therefore drawn first.
WITH drawn AS (SELECT nextval(pg_get_serial_sequence('streams', 'id')) AS id)
INSERT INTO streams (id, connection_id, name, bucket, enabled, schedule, history_days, options, next_run_at)
OVERRIDING SYSTEM VALUE
SELECT d.id, c.id, %(name)s, d.id %% 32, %(enabled)s, %(schedule)s, %(history_days)s, %(options)s,
       CASE WHEN %(enabled)s AND c.paused_at IS NULL THEN now() END
  FROM drawn d CROSS JOIN connections c
 WHERE c.id = %(connection)s;

-- name: change_stream
-- What was switched on, or is to read more history, is due at once. A new schedule counts from now, but a run that
-- is owed stays owed. A paused connection's streams stay without a time.
UPDATE streams s
   SET enabled = %(enabled)s, schedule = %(schedule)s, history_days = %(history_days)s, options = %(options)s,
       next_run_at = CASE WHEN NOT %(enabled)s OR c.paused_at IS NOT NULL THEN NULL
                          WHEN s.next_run_at IS NULL OR %(extends_history)s THEN now()
                          WHEN %(next_run_at)s::timestamptz IS NULL OR s.next_run_at <= now() THEN s.next_run_at
                          ELSE %(next_run_at)s END
  FROM connections c
 WHERE s.id = %(id)s AND c.id = s.connection_id;

-- name: try_again
-- What it logs in with, or where, was changed: what failed for want of that is due at once.
UPDATE streams s SET next_run_at = CASE WHEN s.failures > 0 THEN now() ELSE s.next_run_at END, history_next_at = NULL
  FROM connections c
 WHERE s.connection_id = %(connection)s AND c.id = s.connection_id AND c.paused_at IS NULL AND s.enabled
   AND (s.failures > 0 OR s.history_next_at IS NOT NULL);

-- name: wait_no_more
-- The same of runs that wait because they were refused. Beat wakes them; one that has to wait for a limit is told so anew.
UPDATE runs SET not_before = now(), published_at = NULL
 WHERE connection_id = %(connection)s AND state = 'queued' AND wait_reason IN ('limit', 'retry') AND not_before > now();

-- name: register_again
UPDATE webhook_registrations SET next_at = now()
 WHERE connection_id = %(connection)s AND state IN ('wanted', 'failing') AND next_at > now();

-- name: end_links
-- Of connections that become something else: what a customer gives for one must not go where nobody meant it to.
UPDATE connect_links SET revoked_at = now()
 WHERE connection_id = %(connection)s AND used_at IS NULL AND revoked_at IS NULL;

-- name: end_runs
-- Open runs of these streams end here, in the history as cancelled. Their rows are what a worker's fence looks for, so one
-- that is loading is refused and commits nothing more. Comes before everything that the runs hang on.
WITH gone AS (
    DELETE FROM runs
     WHERE stream_id = ANY (%(streams)s) AND (%(track)s::text IS NULL OR track = %(track)s)
    RETURNING *
)
INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state, claim_no,
                         attempt, worker, request_id, created_at, started_at, pages, records_read,
                         records_created, records_updated, records_deleted, records_refused, records_rejected,
                         error_code, error, steps)
SELECT id, false, stream_id, connection_id, queue, track, scope, lane, cause, 'cancelled', claim_no, attempt,
       worker, request_id, created_at, started_at, pages, records_read, records_created, records_updated,
       records_deleted, records_refused, records_rejected, 'cancelled', %(reason)s, steps
  FROM gone;

-- name: delete_open_runs
DELETE FROM runs WHERE connection_id = ANY (%(connections)s);

-- name: delete_streams
-- With the streams go runs that were requested meanwhile, cursors and quarantine. From here on no worker can load.
DELETE FROM streams WHERE connection_id = ANY (%(connections)s) RETURNING connection_id, id, bucket;

-- name: note_removed
-- Their records follow.
INSERT INTO removed_streams (stream_id, bucket)
SELECT * FROM unnest(%(streams)s::bigint[], %(buckets)s::smallint[]);

-- name: delete_run_history
DELETE FROM run_history WHERE connection_id = ANY (%(connections)s);

-- name: part_registrations
-- Webhooks that were registered at their systems are removed there later, with what was known of the connection until now.
UPDATE webhook_registrations r
   SET state = 'removing', next_at = now(), claim_no = r.claim_no + 1, attempts = 0, error = NULL, updated_at = now(),
       parting = CASE WHEN c.disconnected_at IS NULL OR r.parting IS NULL
                      THEN jsonb_build_object('system', c.system, 'environment', c.environment, 'settings', c.settings,
                               'manifest_version', c.manifest_version,
                               'secrets', c.secrets, 'network', c.network, 'account', headrace_account(c))
                      ELSE r.parting END
  FROM connections c
 WHERE c.id = r.connection_id AND c.id = ANY (%(connections)s)
RETURNING r.connection_id;

-- name: delete_connections
DELETE FROM connections WHERE id = ANY (%(connections)s);

-- name: lock_seen
-- The next of those that a view shows, locked in the order in which apply locks them. One that is the view's no more when
-- its lock is there is left out.
SELECT id, name, environment, tenant, disconnected_at FROM connections c
 WHERE id > %(after)s AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
 ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE;

-- name: pause_connections
UPDATE connections SET paused_at = now(), updated_at = now() WHERE id = ANY (%(connections)s) AND paused_at IS NULL
RETURNING id;

-- name: clear_next_runs
UPDATE streams SET next_run_at = NULL WHERE connection_id = ANY (%(connections)s) AND next_run_at IS NOT NULL;

-- name: count_running
SELECT connection_id, count(*) AS running FROM runs
 WHERE connection_id = ANY (%(connections)s) AND state = 'running'
 GROUP BY connection_id;

-- name: resume_connections
UPDATE connections SET paused_at = NULL, updated_at = now() WHERE id = ANY (%(connections)s) AND paused_at IS NOT NULL
RETURNING id;

-- name: set_next_runs
-- However long the pause was, each stream owes one run.
UPDATE streams SET next_run_at = now() WHERE connection_id = ANY (%(connections)s) AND enabled;

-- name: wake_queued_runs
-- Runs that waited through the pause. The caller publishes them after the commit; what gets lost, beat publishes again.
UPDATE runs SET published_at = now()
 WHERE connection_id = ANY (%(connections)s) AND state = 'queued' AND not_before <= now()
RETURNING connection_id, id, queue;

-- name: find_connections
-- A name before the file's id before the number: a name is what people see. Whoever may not see it finds nothing.
SELECT c.*, CASE WHEN c.name = %(given)s THEN 0 WHEN c.file_id = %(given)s THEN 1 ELSE 2 END AS rank
  FROM connections c
 WHERE (%(wanted)s::text IS NULL OR c.environment = %(wanted)s)
   AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, c)
   AND (c.name = %(given)s OR c.file_id = %(given)s OR c.id = %(number)s)
 ORDER BY rank, c.environment;

-- name: connection_names
SELECT DISTINCT name FROM connections c
 WHERE (%(wanted)s::text IS NULL OR c.environment = %(wanted)s)
   AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, c);

-- name: connections_seen
SELECT c.id FROM connections c
 WHERE headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c) LIMIT %(most)s;

-- name: list_connections
-- The page is cut before the streams are counted, so the cost follows what is shown and not what there is.
WITH page AS (
    SELECT * FROM connections c
     WHERE (name, id) > (%(after_name)s, %(after_id)s)
       AND (%(system)s::text IS NULL OR system = %(system)s)
       AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
     ORDER BY name, id LIMIT %(limit)s
)
SELECT c.id, c.name, c.environment, c.system, c.tenant, c.labels, c.paused_at, s.streams, s.failing, s.history_pending,
       s.last_success_at, s.next_run_at, r.open_runs
  FROM page c
  CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE enabled) AS streams,
             count(*) FILTER (WHERE enabled AND failures > 0) AS failing,
             count(*) FILTER (WHERE enabled AND history_done_at IS NULL) AS history_pending,
             min(last_success_at) FILTER (WHERE enabled) AS last_success_at,
             min(next_run_at) AS next_run_at
        FROM streams WHERE connection_id = c.id
  ) s
  CROSS JOIN LATERAL (SELECT count(*) AS open_runs FROM runs WHERE connection_id = c.id) r
 ORDER BY c.name, c.id;

-- name: streams_of
-- Open runs are few; the newest of each stream says what happens now.
SELECT s.id, s.name, s.bucket, s.enabled, s.schedule, s.history_days, s.next_run_at, s.history_done_at, s.last_run_id,
       s.last_outcome, s.last_finished_at, s.last_success_at, s.last_error_code, s.last_error, s.failures,
       s.history_paused_at, s.history_error_code, s.history_error, s.options,
       o.state AS open_state, o.track AS open_track, o.not_before, o.wait_reason
  FROM streams s
  LEFT JOIN LATERAL (
      SELECT state, track, not_before, wait_reason FROM runs
       WHERE stream_id = s.id ORDER BY (state = 'running') DESC, lane, id LIMIT 1
  ) o ON true
 WHERE s.connection_id = %(connection)s
 ORDER BY s.name;
