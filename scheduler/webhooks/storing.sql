-- Webhooks that were proved, on their way into the table of events.

-- name: find_webhook_connection
-- By number or name, as it stands in the path. Whoever makes a connection chooses its name, so no name takes the webhooks of
-- another: not by being its number, and not in test by being that of a live one, whose own number is needed then.
SELECT c.id, c.system, c.manifest_version, c.environment, c.settings, c.secrets,
       coalesce((SELECT jsonb_object_agg(s.name, s.id) FROM streams s WHERE s.connection_id = c.id AND s.enabled), '{}') AS streams
  FROM connections c
 WHERE c.disconnected_at IS NULL AND (c.name = %(given)s OR c.id = %(number)s)
 ORDER BY c.id = %(number)s DESC, c.environment
 LIMIT 1;

-- name: store_events
-- All webhooks of a few milliseconds in one commit: those that are new become events, and their streams get a run. Who finds
-- a queued run asks for none and looks no further, so nobody waits for a run's row; `want_forgotten` follows. A word about a
-- whole stream asks for a live run and is done by that: the run is claimed after the word came, so it reads what it told of.
WITH given AS (
    SELECT DISTINCT ON (g.connection_id, g.event_key) g.*
      FROM unnest(%(connections)s::bigint[], %(streams)s::bigint[], %(kinds)s::text[], %(keys)s::text[], %(types)s::text[],
                  %(event_keys)s::text[], %(records)s::bytea[], %(said)s::timestamptz[], %(requests)s::text[])
           WITH ORDINALITY AS g (connection_id, stream_id, kind, key, type, event_key, record, said_at, request_id, place)
      JOIN streams s ON s.id = g.stream_id
     ORDER BY g.connection_id, g.event_key, g.place
), fresh AS (
    INSERT INTO event_keys (connection_id, key) SELECT connection_id, event_key FROM given ORDER BY 1, 2
    ON CONFLICT DO NOTHING RETURNING connection_id, key
), stored AS (
    INSERT INTO events (connection_id, stream_id, kind, key, type, event_key, record, said_at, request_id, state, outcome, done_at)
    SELECT g.connection_id, g.stream_id, g.kind, g.key, g.type, g.event_key, g.record, g.said_at, g.request_id,
           CASE WHEN g.kind = 'stream' AND %(wanting)s THEN 'done' ELSE 'pending' END,
           CASE WHEN g.kind = 'stream' AND %(wanting)s THEN 'asked' END,
           CASE WHEN g.kind = 'stream' AND %(wanting)s THEN now() END
      FROM given g JOIN fresh f ON f.connection_id = g.connection_id AND f.key = g.event_key
     ORDER BY g.place
    RETURNING stream_id, kind, request_id
), wanted AS (
    INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id, published_at)
    SELECT DISTINCT ON (w.stream_id, w.track) w.stream_id, c.id, 'sync.' || c.system || '.live', headrace_account(c), w.track, 1,
           'webhook', w.request_id, now()
      FROM (SELECT stream_id, request_id, CASE kind WHEN 'stream' THEN 'live' ELSE 'events' END AS track FROM stored) w
      JOIN streams s ON s.id = w.stream_id JOIN connections c ON c.id = s.connection_id
     WHERE %(wanting)s AND s.enabled AND (w.track = 'live' OR c.paused_at IS NULL)
       AND NOT EXISTS (SELECT FROM runs r WHERE r.stream_id = w.stream_id AND r.track = w.track AND r.scope_hash = ''
                          AND r.state = 'queued')
     ORDER BY w.stream_id, w.track
    ON CONFLICT (stream_id, track, scope_hash) WHERE state = 'queued' DO NOTHING
    RETURNING id, queue, stream_id, track
)
SELECT (SELECT coalesce(jsonb_agg(jsonb_build_array(connection_id, key)), '[]') FROM fresh) AS fresh,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(id, queue)), '[]') FROM wanted) AS wakeups,
       (SELECT coalesce(jsonb_agg(stream_id), '[]') FROM wanted WHERE track = 'events') AS wanted;

-- name: want_forgotten
-- After the commit: the run that was found queued may have been claimed meanwhile, and have looked for events already.
INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id, published_at)
SELECT s.id, c.id, 'sync.' || c.system || '.live', headrace_account(c), 'events', 1, 'webhook', %(request)s, now()
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE s.id = ANY (%(streams)s::bigint[]) AND s.enabled AND c.paused_at IS NULL
   AND EXISTS (SELECT FROM events e WHERE e.stream_id = s.id AND e.state = 'pending')
   AND NOT EXISTS (SELECT FROM runs r WHERE r.stream_id = s.id AND r.track = 'events' AND r.state = 'queued')
 ORDER BY s.id
ON CONFLICT (stream_id, track, scope_hash) WHERE state = 'queued' DO NOTHING
RETURNING id, queue;

-- name: raise_queued
-- A word about a whole stream found a run of it queued: from here on that is as urgent as the word is. What it waits for, it
-- waits for. Once for however many words, and whoever holds the row has the run now.
UPDATE runs r
   SET lane = 1, queue = 'sync.' || c.system || '.live', published_at = CASE WHEN r.not_before <= now() THEN now() END
  FROM connections c
 WHERE c.id = r.connection_id
   AND r.id = ANY (ARRAY(SELECT q.id FROM runs q
                          WHERE q.stream_id = ANY (%(streams)s::bigint[]) AND q.track = 'live' AND q.scope_hash = ''
                            AND q.state = 'queued' AND q.lane > 1
                          ORDER BY q.id FOR UPDATE SKIP LOCKED))
RETURNING r.id, r.queue, r.not_before <= now() AS ready;

-- name: count_webhooks
INSERT INTO webhook_counts AS w (connection_id, stream_id, received, repeated, refused)
SELECT * FROM unnest(%(connections)s::bigint[], %(streams)s::bigint[], %(received)s::bigint[], %(repeated)s::bigint[],
                     %(refused)s::bigint[]) ORDER BY 1, 2
ON CONFLICT (connection_id, stream_id, day) DO UPDATE
   SET received = w.received + excluded.received, repeated = w.repeated + excluded.repeated, refused = w.refused + excluded.refused;

-- name: keep_refusal
INSERT INTO webhook_refusals (connection_id, name, reason, words, headers, source, request_id)
VALUES (%(connection)s, %(name)s, %(reason)s, %(words)s, %(headers)s, %(source)s, %(request)s);

-- name: newest_refusals
-- For whoever runs the installation: also what came for a name that nobody has, which is of no environment that a token sees.
SELECT r.id, r.name, c.name AS connection, r.reason, r.words, r.headers, host(r.source) AS source, r.request_id
  FROM webhook_refusals r LEFT JOIN connections c ON c.id = r.connection_id
 WHERE %(connection)s::bigint IS NULL OR r.connection_id = %(connection)s
 ORDER BY r.id DESC LIMIT %(limit)s;
