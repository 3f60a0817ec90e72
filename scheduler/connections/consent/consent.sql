-- Links with which customers connect their own systems, and browsers that were sent away to log in.

-- name: create_link
-- It lives no longer than the token that makes it would.
INSERT INTO connect_links (digest, environment, system, connection_id, name, tenant, labels, settings, secrets, network,
                           store, return_url, created_by, expires_at)
VALUES (%(digest)s, %(environment)s, %(system)s, %(connection_id)s, %(name)s, %(tenant)s, %(labels)s, %(settings)s,
        %(secrets)s, %(network)s, %(store)s, %(return_url)s, %(created_by)s,
        LEAST(now() + make_interval(secs => %(seconds)s), %(ends)s::timestamptz))
RETURNING *;

-- name: forget_old_links
-- Whoever makes links clears up behind them, a few at a time.
DELETE FROM connect_links WHERE id IN (
    SELECT id FROM connect_links WHERE expires_at < now() - interval '90 days' LIMIT 100
);

-- name: list_links
-- Of a limited token: those of its tenants or connections.
SELECT l.* FROM connect_links l
 WHERE l.environment = %(environment)s AND l.id < %(before)s
   AND (%(tenants)s::text[] IS NULL OR l.tenant = ANY (%(tenants)s))
   AND (%(connections)s::bigint[] IS NULL OR l.connection_id = ANY (%(connections)s))
   AND (%(tenant)s::text IS NULL OR l.tenant = %(tenant)s)
   AND (%(system)s::text IS NULL OR l.system = %(system)s)
   AND (%(connection)s::bigint IS NULL OR l.connection_id = %(connection)s)
 ORDER BY l.id DESC LIMIT %(limit)s;

-- name: revoke_link
UPDATE connect_links l SET revoked_at = coalesce(revoked_at, now())
 WHERE l.id = %(id)s AND l.environment = %(environment)s
   AND (%(tenants)s::text[] IS NULL OR l.tenant = ANY (%(tenants)s))
   AND (%(connections)s::bigint[] IS NULL OR l.connection_id = ANY (%(connections)s))
RETURNING *;

-- name: find_link
-- By its own secret, or by the cookie of the browser that opened it. A link goes with the token that made it.
SELECT l.* FROM connect_links l
 WHERE (l.digest = %(digest)s OR l.session = %(session)s)
   AND l.revoked_at IS NULL AND l.used_at IS NULL AND l.expires_at > now()
   AND NOT EXISTS (SELECT FROM tokens t WHERE t.id = l.created_by AND t.revoked_at IS NOT NULL);

-- name: find_done
-- By the cookie of the browser that used it up: whoever sends a form twice, or looks at its last page again.
SELECT l.* FROM connect_links l
 WHERE l.session = %(session)s AND l.used_at > now() - interval '1 day' AND l.revoked_at IS NULL;

-- name: open_link
-- The first browser has it; a second that comes at the same time finds it taken.
UPDATE connect_links SET opened_at = now(), session = %(session)s
 WHERE id = %(id)s AND opened_at IS NULL
RETURNING id;

-- name: use_link
UPDATE connect_links l SET used_at = now(), connection_id = coalesce(connection_id, %(connection)s)
 WHERE l.id = %(id)s AND l.used_at IS NULL AND l.revoked_at IS NULL AND l.expires_at > now()
   AND NOT EXISTS (SELECT FROM tokens t WHERE t.id = l.created_by AND t.revoked_at IS NOT NULL)
RETURNING l.id;

-- name: end_states
-- Those of a browser that begins anew: it comes back with the newest alone. What they put in a store is taken away first.
UPDATE oauth_states SET expires_at = now() WHERE link_id = %(link)s AND expires_at > now() RETURNING digest, started;

-- name: note_typed
-- Before anything is written to a store. Of no link, since what is written there outlives it.
INSERT INTO oauth_states (digest, started, expires_at) VALUES (%(digest)s, %(started)s, now() + interval '1 hour')
ON CONFLICT (digest) DO UPDATE SET started = EXCLUDED.started, expires_at = EXCLUDED.expires_at;

-- name: expired_states
SELECT digest, started, created_at < now() - interval '7 days' AS last_time
  FROM oauth_states WHERE expires_at < now() ORDER BY expires_at LIMIT %(batch)s;

-- name: try_later
UPDATE oauth_states SET expires_at = now() + interval '1 hour' WHERE digest = %(digest)s;

-- name: forget_state
DELETE FROM oauth_states WHERE digest = %(digest)s;

-- name: used_anywhere
SELECT DISTINCT s.value AS reference FROM connections c, jsonb_each_text(c.secrets) s
 WHERE s.value = ANY (%(references)s::text[]);

-- name: is_used_up
SELECT used_at IS NOT NULL AS used, connection_id FROM connect_links WHERE id = %(id)s;

-- name: references_used
-- Whether the connection that a link is for has any of these: a commit whose answer was lost has happened.
SELECT 1 FROM connections c, jsonb_each_text(c.secrets) s
 WHERE (c.id = %(connection)s OR (c.environment = %(environment)s AND c.name = %(name)s))
   AND s.value = ANY (%(references)s)
 LIMIT 1;

-- name: keep_state
INSERT INTO oauth_states (digest, link_id, started, expires_at)
VALUES (%(digest)s, %(link)s, %(started)s, now() + interval '15 minutes');

-- name: take_state
-- Once, by the browser that opened this link, and while it is fresh. What it put in a store stays noted.
WITH taken AS (
    DELETE FROM oauth_states WHERE digest = %(digest)s AND link_id = %(link)s AND expires_at > now() RETURNING started
), noted AS (
    INSERT INTO oauth_states (digest, started, expires_at)
    SELECT %(note)s, jsonb_build_object('references', started -> 'references'), now() + interval '1 hour'
      FROM taken WHERE started -> 'references' <> '{}'
)
SELECT started FROM taken;
