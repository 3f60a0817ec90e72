-- name: lock_runs
-- All of the stream, the queued ones too: a claim that is under way saw what was before, and is waited for here.
SELECT id FROM runs WHERE stream_id = %(stream)s ORDER BY id FOR UPDATE;

-- name: running_runs
SELECT id, claim_no, steps FROM runs WHERE stream_id = %(stream)s AND state = 'running' ORDER BY id;
