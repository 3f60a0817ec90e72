-- Requests with an Idempotency-Key: whose turn is it, and what was answered?

-- name: claim_key
-- New, or left behind by somebody who died over the very same request, or so old that it is forgotten. No row: it is
-- somebody else's, or done.
INSERT INTO idempotency_keys AS k (token_id, key, request, lease_until)
VALUES (%(token)s, %(key)s, %(request)s, now() + make_interval(secs => %(lease)s))
ON CONFLICT (token_id, key) DO UPDATE
   SET request = excluded.request, lease_until = excluded.lease_until, claim_no = k.claim_no + 1,
       created_at = now(), done_at = NULL, status = NULL, headers = NULL, body = NULL
 WHERE (k.done_at IS NULL AND k.lease_until < now() AND k.request = excluded.request)
    OR k.created_at < now() - make_interval(days => %(days)s)
RETURNING claim_no;

-- name: find_key
SELECT request, done_at IS NOT NULL AS done, status, headers, body,
       greatest(1, ceil(extract(epoch FROM lease_until - now())))::int AS seconds
  FROM idempotency_keys WHERE token_id = %(token)s AND key = %(key)s;

-- name: renew_key
UPDATE idempotency_keys SET lease_until = now() + make_interval(secs => %(lease)s)
 WHERE token_id = %(token)s AND key = %(key)s AND claim_no = %(claim)s AND done_at IS NULL;

-- name: finish_key
UPDATE idempotency_keys SET done_at = now(), status = %(status)s, headers = %(headers)s, body = %(body)s
 WHERE token_id = %(token)s AND key = %(key)s AND claim_no = %(claim)s AND done_at IS NULL;

-- name: release_key
-- Nothing was done: the same key may be tried again, with what was wrong put right.
DELETE FROM idempotency_keys
 WHERE token_id = %(token)s AND key = %(key)s AND claim_no = %(claim)s AND done_at IS NULL;

-- name: prune_keys
DELETE FROM idempotency_keys k USING (
    SELECT token_id, key FROM idempotency_keys
     WHERE created_at < now() - make_interval(days => %(days)s) ORDER BY created_at LIMIT %(batch)s
) old WHERE k.token_id = old.token_id AND k.key = old.key;
