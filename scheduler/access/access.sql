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

-- name: actions
-- Which there are that begin so. They are few, and looked for from one entry of their index to the next.
WITH RECURSIVE known (action) AS (
    (SELECT a.action FROM audit a ORDER BY a.action LIMIT 1)
    UNION ALL
    SELECT (SELECT a.action FROM audit a WHERE a.action > k.action ORDER BY a.action LIMIT 1)
      FROM known k WHERE k.action IS NOT NULL
)
SELECT action FROM known WHERE starts_with(action, %(prefix)s);
