-- Which webhooks are registered at their systems, and which of them must be looked after?

-- name: read_connection
-- Nobody disconnects or deletes it until it is noted that its webhooks are wanted.
SELECT id, name, environment, tenant, system, manifest_version, settings, secrets, disconnected_at
  FROM connections WHERE id = %(connection)s FOR SHARE;

-- name: want_registrations
-- Asked for again, it is created anew: with another URL or secret, after a failure, while it was on its way out.
INSERT INTO webhook_registrations AS r (connection_id, topic, url)
SELECT %(connection)s, topic, %(url)s FROM unnest(%(topics)s::text[]) topic
    ON CONFLICT (connection_id, topic) DO UPDATE
   SET url = excluded.url, state = 'wanted', settled = false, parting = NULL,
       next_at = now(), claim_no = r.claim_no + 1, attempts = 0, error = NULL, updated_at = now();

-- name: part_other_topics
-- Topics that the manifest no longer has: what is registered for them goes.
UPDATE webhook_registrations r
   SET state = 'removing', next_at = now(), claim_no = r.claim_no + 1, attempts = 0, error = NULL, updated_at = now(),
       parting = jsonb_build_object('system', c.system, 'manifest_version', c.manifest_version, 'environment', c.environment, 'settings', c.settings,
                     'secrets', c.secrets, 'network', c.network, 'account', headrace_account(c))
  FROM connections c
 WHERE c.id = r.connection_id AND r.connection_id = %(connection)s AND r.topic <> ALL (%(topics)s::text[]) AND r.state <> 'removing';

-- name: claim_registration
-- One that is due, for so long that nobody else takes it meanwhile; whoever dies with it, it is due again.
UPDATE webhook_registrations r
   SET next_at = now() + make_interval(secs => %(lease)s), claim_no = r.claim_no + 1, updated_at = now()
 WHERE (r.connection_id, r.topic) = (
           SELECT d.connection_id, d.topic FROM webhook_registrations d
            WHERE d.next_at <= now() ORDER BY d.next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING r.connection_id, r.topic, r.remote_id, r.settled, r.state, r.url, r.attempts, r.claim_no,
          coalesce(r.parting, (SELECT jsonb_build_object('system', c.system, 'manifest_version', c.manifest_version, 'environment', c.environment,
                                         'settings', c.settings, 'secrets', c.secrets, 'network', c.network,
                                         'account', headrace_account(c))
                                 FROM connections c WHERE c.id = r.connection_id)) AS connection;

-- name: note_registered
UPDATE webhook_registrations
   SET remote_id = %(remote_id)s, settled = true, state = %(state)s, expires_at = %(expires_at)s, error = %(error)s,
       attempts = %(attempts)s, next_at = now() + make_interval(secs => %(seconds)s), updated_at = now()
 WHERE connection_id = %(connection)s AND topic = %(topic)s AND claim_no = %(claim)s;

-- name: note_failure
UPDATE webhook_registrations
   SET state = CASE state WHEN 'removing' THEN state ELSE 'failing' END, error = %(error)s, attempts = attempts + 1,
       next_at = now() + make_interval(secs => %(seconds)s), updated_at = now()
 WHERE connection_id = %(connection)s AND topic = %(topic)s AND claim_no = %(claim)s;

-- name: note_wait
UPDATE webhook_registrations
   SET next_at = greatest(now() + interval '5 s', %(until)s), updated_at = now()
 WHERE connection_id = %(connection)s AND topic = %(topic)s AND claim_no = %(claim)s;

-- name: forget_registration
DELETE FROM webhook_registrations
 WHERE connection_id = %(connection)s AND topic = %(topic)s AND claim_no = %(claim)s;

-- name: failing_registrations
SELECT c.name AS connection, r.topic, r.error, r.attempts
  FROM webhook_registrations r JOIN connections c ON c.id = r.connection_id
 WHERE r.state = 'failing' ORDER BY c.name, r.topic LIMIT %(limit)s;
