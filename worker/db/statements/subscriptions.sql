-- How is what changed delivered to those who asked for it, and what becomes of what they refuse?

-- name: add_subscription
INSERT INTO subscriptions (name, url, secret, connection_id, stream, kinds, position, environment, tenants, connections,
                           labels)
VALUES (%(name)s, %(url)s, %(secret)s, %(connection)s, %(stream)s, %(kinds)s, %(position)s, %(environment)s, %(tenants)s,
        %(connections)s, %(labels)s)
ON CONFLICT (name) DO NOTHING RETURNING id;

-- name: subscriptions
-- Whoever sees all that one may tell of sees it; and those that the command line made are seen with all that is live. Narrowed
-- to a customer, those that tell of nothing else. The page is cut before it is counted what waits.
SELECT s.*, p.pending, p.given_up, p.pending_next_at, p.pending_error
  FROM (SELECT s.*, split_part(s.name, E'\n', -1) AS given, c.name AS connection,
               c.environment AS connection_environment
          FROM subscriptions s
          LEFT JOIN connections c ON c.id = s.connection_id
                                 AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, NULL, c)
         WHERE (%(environment)s::text IS NULL OR s.environment = %(environment)s
                OR (s.environment IS NULL AND %(environment)s = 'live'))
           AND (%(tenants)s::text[] IS NULL OR (s.environment IS NOT NULL AND s.tenants <@ %(tenants)s::text[]))
           AND (%(connections)s::bigint[] IS NULL
                OR (s.environment IS NOT NULL AND s.connections <@ %(connections)s::bigint[]))
           AND (%(of)s::bigint IS NULL OR s.connection_id = %(of)s)
           AND (%(tenant)s::text IS NULL OR s.tenants <@ ARRAY[%(tenant)s::text] OR c.tenant = %(tenant)s)
           AND (%(labels)s::jsonb IS NULL OR s.labels @> %(labels)s::jsonb OR c.labels @> %(labels)s::jsonb)
           AND (split_part(s.name, E'\n', -1), s.name) > (%(after_given)s, %(after_name)s)
         ORDER BY split_part(s.name, E'\n', -1), s.name
         LIMIT %(limit)s) s
 CROSS JOIN LATERAL (
      SELECT count(next_at) AS pending, count(*) - count(next_at) AS given_up, min(next_at) AS pending_next_at,
             (array_agg(error ORDER BY failed_at DESC))[1] AS pending_error
        FROM pending_deliveries WHERE subscription_id = s.id
 ) p
 ORDER BY s.given, s.name;

-- name: pause_subscription
UPDATE subscriptions SET state = 'paused', reason = NULL WHERE id = %(id)s AND state <> 'paused';

-- name: resume_subscription
-- Failures so far are forgotten, also those of single records: what was given up is tried again.
WITH resumed AS (
    UPDATE subscriptions
       SET state = 'active', reason = NULL, attempt = 0, failing_since = NULL, next_at = NULL, woken_at = NULL
     WHERE id = %(id)s RETURNING id
)
UPDATE pending_deliveries p SET next_at = now(), attempt = 1, failed_at = now()
  FROM resumed r WHERE p.subscription_id = r.id;

-- name: replay_subscription
-- A turn that is under way must not move the position once more: its fence is raised. Its lease is not, so that nobody
-- delivers beside it.
UPDATE subscriptions
   SET position = %(position)s, replay_since = %(since)s, replay_until = %(until)s, claim_no = claim_no + 1,
       attempt = 0, next_at = NULL, woken_at = NULL
 WHERE id = %(id)s;

-- name: remove_subscription
DELETE FROM subscriptions WHERE id = %(id)s;

-- name: ready_subscriptions
-- Who may be delivered to now, and isn't; whether there is something is for whoever knows the end of the feed.
SELECT s.id, s.position,
       EXISTS (SELECT FROM pending_deliveries p WHERE p.subscription_id = s.id AND p.next_at <= now()) AS due
  FROM subscriptions s
 WHERE s.state = 'active' AND (s.next_at IS NULL OR s.next_at <= now())
   AND (s.lease_until IS NULL OR s.lease_until < now())
   AND (s.woken_at IS NULL OR s.woken_at < now() - interval '30 seconds');

-- name: note_woken
UPDATE subscriptions SET woken_at = now()
 WHERE id = ANY (%(ids)s) AND (woken_at IS NULL OR woken_at < now() - interval '30 seconds')
RETURNING id;

-- name: claim_subscription
-- One worker delivers, in order. Whoever held it before and comes late is refused by the fence.
UPDATE subscriptions SET claim_no = claim_no + 1, lease_until = now() + make_interval(secs => %(lease)s), woken_at = NULL
 WHERE id = %(id)s AND state = 'active' AND (next_at IS NULL OR next_at <= now())
   AND (lease_until IS NULL OR lease_until < now())
RETURNING *, coalesce(extract(epoch FROM now() - failing_since), 0)::float8 AS failing,
          (SELECT c.environment FROM connections c WHERE c.id = connection_id) AS connection_environment;

-- name: settle_deliveries
-- What became of a handful of messages: records that were refused wait by themselves, those that were delivered wait no
-- longer, and the position moves; all of it under the fence, or nothing. A pause that came meanwhile is said.
WITH held AS (
    UPDATE subscriptions
       SET position = %(position)s, attempt = %(attempt)s,
           failing_since = CASE WHEN %(failing)s::boolean IS NULL THEN failing_since
                                WHEN %(failing)s THEN coalesce(failing_since, now()) END,
           next_at = now() + make_interval(secs => %(rest)s), delivered = delivered + %(delivered)s,
           lease_until = now() + make_interval(secs => %(lease)s),
           replay_since = CASE WHEN %(replayed)s THEN NULL ELSE replay_since END,
           replay_until = CASE WHEN %(replayed)s THEN NULL ELSE replay_until END,
           last_success_at = CASE WHEN %(delivered)s > 0 THEN now() ELSE last_success_at END,
           last_failure_at = CASE WHEN %(error)s::text IS NULL THEN last_failure_at ELSE now() END,
           last_error = coalesce(%(error)s, last_error),
           state = CASE WHEN state = 'active' AND %(reason)s::text IS NOT NULL THEN 'disabled' ELSE state END,
           reason = CASE WHEN state = 'active' THEN %(reason)s ELSE reason END
     WHERE id = %(id)s AND claim_no = %(claim)s
    RETURNING id, state
), delivered AS (
    DELETE FROM pending_deliveries p
     USING held h, unnest(%(done_streams)s::bigint[], %(done_keys)s::text[]) AS d (stream_id, key)
     WHERE p.subscription_id = h.id AND p.stream_id = d.stream_id AND p.key = d.key
), refused AS (
    INSERT INTO pending_deliveries AS p (subscription_id, stream_id, key, attempt, next_at, error)
    SELECT h.id, r.stream_id, r.key, r.attempt, now() + make_interval(secs => r.seconds), r.error
      FROM held h, unnest(%(failed_streams)s::bigint[], %(failed_keys)s::text[], %(failed_attempts)s::int[],
                          %(failed_seconds)s::float8[], %(failed_errors)s::text[])
                   AS r (stream_id, key, attempt, seconds, error)
     WHERE EXISTS (SELECT FROM streams s WHERE s.id = r.stream_id)
    ON CONFLICT (subscription_id, stream_id, key) DO UPDATE
       SET attempt = excluded.attempt, next_at = excluded.next_at, error = excluded.error,
           failed_at = CASE WHEN excluded.attempt = 1 THEN now() ELSE p.failed_at END
)
SELECT state FROM held;

-- name: release_subscription
UPDATE subscriptions SET lease_until = NULL, woken_at = NULL WHERE id = %(id)s AND claim_no = %(claim)s;

-- name: waiting_records
-- Which of these wait by themselves already? What was given up is none of them: it changed, so it is tried again.
SELECT stream_id, key FROM pending_deliveries
 WHERE subscription_id = %(id)s AND next_at IS NOT NULL
   AND (stream_id, key) IN (SELECT * FROM unnest(%(streams)s::bigint[], %(keys)s::text[]));

-- name: count_pending
SELECT count(*) AS n FROM pending_deliveries WHERE subscription_id = %(id)s;

-- name: due_records
-- The latest state of records whose time has come, once the feed has come to it: no place beyond is given out. One that is
-- there no more has nothing to say, nor has one that the subscription may not tell of by now.
SELECT p.stream_id, p.key, p.attempt, extract(epoch FROM now() - p.failed_at)::float8 AS failing, o.change_xid::text AS xid,
       o.change_seq AS seq, o.change_kind AS kind, c.name AS connection, c.environment, s.name AS stream, o.version,
       o.source_updated_at, o.observed_at, o.deleted_at, o.delete_reason, o.cause_kind, o.cause_id,
       CASE WHEN o.delete_reason IS DISTINCT FROM 'erased' THEN o.raw::text END AS raw,
       headrace_sees(u.environment, u.tenants, u.connections, u.labels, c) AS seen
  FROM pending_deliveries p
  JOIN subscriptions u ON u.id = p.subscription_id
  JOIN streams s ON s.id = p.stream_id
  JOIN connections c ON c.id = s.connection_id
  LEFT JOIN LATERAL (SELECT * FROM records x
                      WHERE x.bucket = s.bucket AND x.stream_id = s.id AND x.key = p.key OFFSET 0) o ON true
 WHERE p.subscription_id = %(id)s AND p.next_at <= now()
   AND (o.change_xid IS NULL OR o.change_xid < pg_snapshot_xmin(pg_current_snapshot()))
 ORDER BY p.next_at LIMIT %(limit)s;
