-- Erasing a record: every place that may hold something of it. A test holds this list against the columns of all tables.

-- name: note_erasure
-- Committed before anything is removed: whoever claims a run from here on has the screen.
WITH noted AS (
    UPDATE streams SET erased = true WHERE id = %(stream)s
)
INSERT INTO erasures AS e (stream_id, key_digest, made_with, reason)
VALUES (%(stream)s, %(digest)s, %(mark)s, %(reason)s)
ON CONFLICT (stream_id, key_digest) DO UPDATE SET reason = coalesce(excluded.reason, e.reason)
RETURNING id;

-- name: other_marks
SELECT EXISTS (SELECT FROM erasures WHERE stream_id = %(stream)s AND made_with <> %(mark)s) AS found;

-- name: contents_of
-- All that was ever kept of the record, to find it where it has no key.
SELECT raw::text AS raw FROM records WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key = %(key)s
UNION ALL
SELECT raw::text FROM record_versions WHERE stream_id = %(stream)s AND key = %(key)s;

-- name: erase_record
-- A tombstone without content, for those who read the changes. Its key goes with it when tombstones do.
UPDATE records
   SET raw = '{}', exact = NULL, content_hash = '00000000-0000-0000-0000-000000000000', version = NULL,
       observed_at = now(), source_updated_at = NULL, deleted_at = coalesce(deleted_at, now()), delete_reason = 'erased',
       cause_kind = 'event', cause_id = %(erasure)s, change_xid = pg_current_xact_id(),
       change_seq = nextval('record_change_seq'), change_kind = 'deleted'
 WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key = %(key)s;

-- name: erase_record_versions
DELETE FROM record_versions WHERE stream_id = %(stream)s AND key = %(key)s;

-- name: erase_quarantine
-- By its key; and what came without one, by what was in the record.
DELETE FROM quarantine
 WHERE stream_id = %(stream)s
   AND (key = %(key)s
        OR (key IS NULL AND EXISTS (SELECT FROM unnest(%(needles)s::text[]) AS n (text)
                                     WHERE position(convert_to(n.text, 'UTF8') IN raw) > 0 OR position(n.text IN reason) > 0)));

-- name: erase_suspects
DELETE FROM suspects WHERE stream_id = %(stream)s AND key = %(key)s;

-- name: erase_swept_pages
-- All of a sweep that is under way: one whose pages are incomplete begins anew.
DELETE FROM swept_pages p
 WHERE p.stream_id = %(stream)s
   AND EXISTS (SELECT FROM swept_pages o WHERE o.stream_id = p.stream_id AND %(key)s = ANY (o.keys));

-- name: erase_verifications
UPDATE verifications SET examples = '[]', waiting = '{}'
 WHERE stream_id = %(stream)s AND position(%(quoted)s IN examples::text || waiting::text) > 0;

-- name: erase_pending_deliveries
DELETE FROM pending_deliveries WHERE stream_id = %(stream)s AND key = %(key)s;

-- name: erase_events
-- What a webhook told of it, done or not.
DELETE FROM events
 WHERE stream_id = %(stream)s
   AND (key = %(key)s OR headrace_repeats(error, %(needles)s) OR headrace_repeats(event_key, %(needles)s)
        OR EXISTS (SELECT FROM unnest(%(needles)s::text[]) AS n (text)
                    WHERE position(convert_to(n.text, 'UTF8') IN record) > 0));

-- name: erase_event_keys
-- An event whose name holds the record's: should it come again, it is looked at again, and turned away.
DELETE FROM event_keys e USING streams s
 WHERE s.id = %(stream)s AND e.connection_id = s.connection_id AND headrace_repeats(e.key, %(needles)s);

-- name: erase_untold_changes
DELETE FROM untold_changes WHERE stream_id = %(stream)s AND key = %(key)s;

-- name: erase_webhook_refusals
-- Of this connection, or of none.
DELETE FROM webhook_refusals w USING streams s
 WHERE s.id = %(stream)s AND coalesce(w.connection_id, s.connection_id) = s.connection_id
   AND (headrace_repeats(w.body, %(needles)s) OR headrace_repeats(w.words, %(needles)s)
        OR headrace_repeats(w.headers::text, %(needles)s));

-- name: erase_idempotency_keys
-- Answers that hold something of it: their requests would be carried out again.
DELETE FROM idempotency_keys k
 WHERE headrace_repeats(k.key, %(needles)s)
    OR EXISTS (SELECT FROM unnest(%(needles)s::text[]) AS n (text) WHERE position(convert_to(n.text, 'UTF8') IN k.body) > 0);

-- name: erase_cursors
-- A place that names the record is forgotten, and its window read from the beginning.
UPDATE cursors SET position = NULL WHERE stream_id = %(stream)s AND position(%(quoted)s IN position::text) > 0;

-- name: erase_runs
UPDATE runs
   SET scope = CASE WHEN position(%(quoted)s IN scope::text) > 0 THEN headrace_without(scope, %(key)s) ELSE scope END,
       error = CASE WHEN headrace_repeats(error, %(needles)s) THEN 'erased' ELSE error END
 WHERE stream_id = %(stream)s AND (position(%(quoted)s IN scope::text) > 0 OR headrace_repeats(error, %(needles)s));

-- name: erase_run_history
UPDATE run_history
   SET scope = CASE WHEN position(%(quoted)s IN scope::text) > 0 THEN headrace_without(scope, %(key)s) ELSE scope END,
       error = CASE WHEN headrace_repeats(error, %(needles)s) THEN 'erased' ELSE error END
 WHERE stream_id = %(stream)s AND (position(%(quoted)s IN scope::text) > 0 OR headrace_repeats(error, %(needles)s));

-- name: erase_streams
UPDATE streams
   SET last_error = CASE WHEN headrace_repeats(last_error, %(needles)s) THEN 'erased' ELSE last_error END,
       history_error = CASE WHEN headrace_repeats(history_error, %(needles)s) THEN 'erased' ELSE history_error END
 WHERE id = %(stream)s
   AND (headrace_repeats(last_error, %(needles)s) OR headrace_repeats(history_error, %(needles)s));

-- name: allow_again
DELETE FROM erasures WHERE stream_id = %(stream)s AND (%(digest)s::bytea IS NULL OR key_digest = %(digest)s)
RETURNING id;

-- name: note_allowed
UPDATE streams s SET erased = EXISTS (SELECT FROM erasures e WHERE e.stream_id = s.id) WHERE s.id = %(stream)s;
