-- Tokens: who is this, and what may they do?

-- name: find_principal
-- One row of a unique index for each request: what was revoked a moment ago is gone. `used` says that its last use is worth a line.
SELECT t.id, t.owner, t.environment, t.scopes, t.connections, t.tenants, t.networks, t.secret_prefixes,
       t.created_at, t.expires_at, t.successor, t.revoked_at, now() AS now,
       t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute' AS used
  FROM tokens t
 WHERE t.digest = %(digest)s AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now());

-- name: note_use
UPDATE tokens SET last_used_at = now(), last_used_from = %(source)s
 WHERE id = %(id)s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');

-- name: hold_first
SELECT pg_advisory_xact_lock(7433110913);

-- name: any_token
SELECT EXISTS (SELECT FROM tokens) AS any;

-- name: keep_first
INSERT INTO tokens (name, owner, environment, scopes, digest, ending)
VALUES ('bootstrap', 'operator', %(environment)s, '{admin}', %(digest)s, %(ending)s)
ON CONFLICT (digest) DO NOTHING
RETURNING id;

-- name: note_act
INSERT INTO audit (actor, token_id, environment, tenant, action, target, connection_id, request_id, source, detail)
VALUES (%(actor)s, %(token_id)s, %(environment)s, %(tenant)s, %(action)s, %(target)s, %(connection_id)s, %(request_id)s,
        %(source)s, %(detail)s);

-- name: list_acts
-- By what the row itself says: a connection that went to another customer leaves its past with the one who had it. Ids grow
-- with time, and partitions are cut by them: a look at the last week opens those of a week.
SELECT a.id, a.at, a.actor, a.token_id, a.environment, a.tenant, a.action, a.target, a.connection_id, a.request_id, a.source,
       a.detail
  FROM audit a
 WHERE (a.token_id = %(self)s
        OR ((%(environment)s::text IS NULL OR a.environment = %(environment)s OR (a.environment IS NULL AND %(whole)s))
            AND (%(tenants)s::text[] IS NULL OR a.tenant = ANY (%(tenants)s::text[]))
            AND (%(connections)s::bigint[] IS NULL OR a.connection_id = ANY (%(connections)s::bigint[]))))
   AND (%(connection)s::bigint IS NULL OR a.connection_id = %(connection)s)
   AND (%(action)s::text IS NULL OR starts_with(a.action, %(action)s))
   AND (%(actor)s::text IS NULL OR a.actor = %(actor)s)
   AND (%(token)s::uuid IS NULL OR a.token_id = %(token)s)
   AND (%(since)s::timestamptz IS NULL OR a.at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR a.at < %(until)s)
   AND a.id >= %(first)s::uuid AND a.id < %(before)s::uuid
 ORDER BY a.id DESC LIMIT %(limit)s;
