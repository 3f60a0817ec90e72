-- Locks among processes that hold no row.

-- name: lock_secret
-- Of the session: what it guards is a conversation with a system, for which no transaction stays open.
SELECT pg_advisory_lock(hashtextextended('headrace secret ' || %(reference)s, 0));

-- name: lock_connection
-- For a moment, up to the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('headrace connection ' || %(connection)s, 0));

-- name: unlock_secret
SELECT pg_advisory_unlock(hashtextextended('headrace secret ' || %(reference)s, 0));
