-- Sessions of browsers. Each is found together with its token, and is nothing without it.

-- name: open_session
INSERT INTO sessions (digest, token_id, expires_at)
VALUES (%(digest)s, %(token)s, now() + make_interval(secs => %(lasts)s))
RETURNING expires_at;

-- name: close_oldest
-- Whoever logs in again and again has the newest.
DELETE FROM sessions s
 WHERE s.token_id = %(token)s
   AND s.digest NOT IN (SELECT digest FROM sessions WHERE token_id = %(token)s ORDER BY created_at DESC LIMIT %(most)s);

-- name: find_session
SELECT t.id, t.owner, t.environment, t.scopes, t.connections, t.tenants, t.networks, t.secret_prefixes,
       t.created_at, t.expires_at, t.successor, t.revoked_at, now() AS now,
       s.expires_at AS session_ends, s.seen_at < now() - interval '1 minute' AS seen,
       t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute' AS used
  FROM sessions s JOIN tokens t ON t.id = s.token_id
 WHERE s.digest = %(digest)s AND s.expires_at > now() AND s.seen_at > now() - make_interval(secs => %(idle)s)
   AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now());

-- name: see_session
UPDATE sessions SET seen_at = now() WHERE digest = %(digest)s AND seen_at < now() - interval '1 minute';

-- name: close_session
DELETE FROM sessions WHERE digest = %(digest)s RETURNING token_id;

-- name: prune_sessions
DELETE FROM sessions WHERE digest IN (
    SELECT digest FROM sessions
     WHERE expires_at < now() OR seen_at < now() - make_interval(secs => %(idle)s)
     LIMIT %(batch)s);
