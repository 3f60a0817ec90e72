-- Tokens as they are made, shown, replaced and ended.

-- name: hold_maker
-- Whoever makes a token still has theirs, and keeps it until the new one is there: ending it waits, and sees what it made.
SELECT t.id FROM tokens t
 WHERE t.id = %(maker)s AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
   FOR SHARE;

-- name: hold_both
-- Whoever changes a token holds it and their own, always in this order, so that two who change each other's don't wait for ever.
SELECT t.id, t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now()) AS valid
  FROM tokens t WHERE t.id = ANY (%(ids)s::uuid[]) ORDER BY t.id FOR NO KEY UPDATE;

-- name: insert_token
INSERT INTO tokens (name, owner, environment, scopes, digest, ending, connections, tenants, networks, secret_prefixes,
                    created_by, expires_at)
VALUES (%(name)s, %(owner)s, %(environment)s, %(scopes)s, %(digest)s, %(ending)s, %(connections)s, %(tenants)s,
        %(networks)s::cidr[], %(secret_prefixes)s, %(created_by)s, %(expires_at)s)
RETURNING id;

-- name: replace_token
-- It never lives longer than it would have.
UPDATE tokens SET successor = %(successor)s,
                  expires_at = LEAST(coalesce(expires_at, 'infinity'), now() + make_interval(secs => %(overlap)s))
 WHERE id = %(id)s;

-- name: revoke_token
UPDATE tokens SET revoked_at = now() WHERE id = %(id)s AND revoked_at IS NULL RETURNING id;

-- name: revoke_made
-- What tokens made and what replaced them. Run until it finds none: one that is being made is seen when its maker lets go.
UPDATE tokens t SET revoked_at = now()
  FROM tokens m
 WHERE t.revoked_at IS NULL AND m.id = ANY (%(ids)s::uuid[]) AND (t.created_by = m.id OR m.successor = t.id)
RETURNING t.id, t.name;

-- name: admins_left
SELECT EXISTS (SELECT FROM tokens
                WHERE environment = %(environment)s AND 'admin' = ANY (scopes) AND revoked_at IS NULL
                  AND (expires_at IS NULL OR expires_at > now()) AND connections IS NULL AND tenants IS NULL) AS any;

-- name: list_tokens
-- Those that somebody may know of: their own, and such as see no more than they do. NULL <@ is NULL: no limit is no part of one.
-- A connection that a token names may have gone to another customer since, and is not for them any more.
SELECT t.id, t.name, t.owner, t.environment, t.scopes, t.ending, t.connections, t.tenants, t.networks, t.secret_prefixes,
       t.created_at, t.created_by, t.expires_at, t.successor, t.revoked_at, t.last_used_at, t.last_used_from,
       t.digest, now() AS now,
       (SELECT array_agg(c.name ORDER BY c.id) FROM connections c WHERE c.id = ANY (t.connections)
           AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)) AS connection_names
  FROM tokens t
 WHERE (%(environment)s::text IS NULL OR t.environment = %(environment)s)
   AND (t.id = %(self)s OR ((%(tenants)s::text[] IS NULL OR t.tenants <@ %(tenants)s::text[])
                            AND (%(connections)s::bigint[] IS NULL OR t.connections <@ %(connections)s::bigint[])))
   AND (%(ended)s OR (t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())))
   AND (%(id)s::uuid IS NULL OR t.id = %(id)s)
   AND (%(owner)s::text IS NULL OR t.owner = %(owner)s)
   AND (%(tenant)s::text IS NULL OR t.tenants @> ARRAY[%(tenant)s::text])
   AND (%(before)s::uuid IS NULL OR t.id < %(before)s)
 ORDER BY t.id DESC LIMIT %(limit)s;

-- name: find_tokens
-- What somebody means on the command line: an id, the beginning of one, a name, the last characters, or the token itself.
SELECT t.id, t.successor,
       CASE WHEN t.id::text = %(given)s OR t.digest = %(digest)s THEN 1 WHEN t.name = %(given)s THEN 2 ELSE 3 END
       + CASE WHEN t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now()) THEN 0 ELSE 10 END AS rank
  FROM tokens t
 WHERE t.id::text = %(given)s OR t.digest = %(digest)s OR t.name = %(given)s
    OR (length(%(given)s) >= 8 AND starts_with(t.id::text, %(given)s)) OR t.ending = %(given)s
 ORDER BY rank, t.id DESC LIMIT 20;
