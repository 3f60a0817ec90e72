-- The views that people can query: what they are made from, and the stores of the large ones.

-- name: streams_for_views
-- The next streams in the order of their ids, and of each whether its fields are news to its views.
SELECT s.id, s.name, s.bucket, s.options, c.id AS connection_id, c.name AS connection, c.environment, c.system, c.manifest_version,
       v.basis, v.signature, v.problem, v.looked_at,
       v.looked_at < now() - interval '1 minute' AS rested,
       s.last_finished_at IS NOT NULL OR f.changed_at IS NOT NULL AS has_been_read,
       -- A field is noted with the time at which its transaction began, and may be seen a moment after a look since then.
       coalesce(f.changed_at > v.looked_at - interval '10 seconds', false)
       OR s.last_finished_at > v.looked_at AND v.looked_at < now() - interval '1 day' AS has_news,
       s.history_done_at IS NOT NULL                   -- a first load has the machine for itself
       AND v.counted_at < least(s.last_finished_at, now() - interval '10 minutes') AS uncounted
  FROM (SELECT * FROM streams WHERE id > %(after)s ORDER BY id LIMIT %(limit)s) s
  JOIN connections c ON c.id = s.connection_id
  LEFT JOIN stream_views v ON v.stream_id = s.id AND v.relation = '{}'
  LEFT JOIN LATERAL (SELECT max(greatest(first_seen_at, changed_at)) AS changed_at FROM stream_fields
                      WHERE stream_id = s.id) f ON true
 ORDER BY s.id;

-- name: streams_of_connections_for_views
SELECT s.id, s.name, s.bucket, s.options, c.id AS connection_id, c.name AS connection, c.environment, c.system, c.manifest_version
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE %(connections)s::bigint[] IS NULL OR c.id = ANY (%(connections)s)
 ORDER BY s.id;

-- name: settings_for_views
-- Of connections that may describe streams of their own: read once for all their streams, as they may be long. And of those
-- whose time zone their manifest leaves to a setting.
SELECT id, settings FROM connections
 WHERE id = ANY (%(connections)s) AND (settings ? 'describe' OR id = ANY (%(zoned)s));

-- name: lock_view
SELECT pg_try_advisory_xact_lock(hashtextextended('headrace view', %(stream)s)) AS locked;

-- name: lock_models
SELECT pg_advisory_xact_lock(hashtextextended('headrace models', 0));

-- name: prefix_of_connection
SELECT prefix FROM view_prefixes WHERE connection_id = %(connection)s;

-- name: taken_prefixes
SELECT prefix FROM view_prefixes WHERE starts_with(prefix, %(beginning)s);

-- name: keep_prefix
INSERT INTO view_prefixes (connection_id, prefix) VALUES (%(connection)s, %(prefix)s)
ON CONFLICT DO NOTHING RETURNING prefix;

-- name: views_of_stream
SELECT * FROM stream_views WHERE stream_id = %(stream)s ORDER BY relation;

-- name: taken_names
-- By views of ours, and by whatever else somebody put into the schema.
SELECT name FROM stream_views WHERE starts_with(name, %(beginning)s)
UNION
SELECT relname::text FROM pg_class
 WHERE relnamespace = 'data'::regnamespace AND starts_with(relname::text, %(beginning)s);

-- name: keep_view
INSERT INTO stream_views (stream_id, relation, connection_id, bucket, name)
VALUES (%(stream)s, %(relation)s, %(connection)s, %(bucket)s, %(name)s)
ON CONFLICT DO NOTHING RETURNING name;

-- name: view_was_made
UPDATE stream_views
   SET signature = %(signature)s, basis = %(basis)s, problem = %(problem)s, looked_at = %(looked_at)s
 WHERE stream_id = %(stream)s AND relation = %(relation)s;

-- name: columns_of_stream
SELECT relation, name, path, kind, declared FROM view_columns WHERE stream_id = %(stream)s ORDER BY relation, place;

-- name: keep_columns
INSERT INTO view_columns (stream_id, relation, name, path, kind, declared, place)
SELECT %(stream)s, %(relation)s, c ->> 'name', ARRAY(SELECT json_array_elements_text(c -> 'path')), c ->> 'kind',
       (c ->> 'declared')::boolean, n
  FROM json_array_elements(%(columns)s::json) WITH ORDINALITY AS t (c, n)
ON CONFLICT (stream_id, relation, name) DO UPDATE
   SET kind = excluded.kind, declared = excluded.declared
 WHERE (view_columns.kind, view_columns.declared) IS DISTINCT FROM (excluded.kind, excluded.declared);

-- name: fields_of_stream
SELECT path, types FROM stream_fields WHERE stream_id = %(stream)s ORDER BY first_seen_at, path;

-- name: sample_of_stream
-- From both ends of its keys, which is where new ones come.
(SELECT raw::text AS raw FROM records_NN WHERE bucket = %(bucket)s AND stream_id = %(stream)s ORDER BY key LIMIT 300)
UNION ALL
(SELECT raw::text FROM records_NN WHERE bucket = %(bucket)s AND stream_id = %(stream)s ORDER BY key DESC LIMIT 300);

-- name: database_now
SELECT now() AS now;

-- name: views_without_streams
SELECT v.connection_id, v.stream_id FROM stream_views v
 WHERE v.relation = '{}' AND NOT EXISTS (SELECT FROM streams s WHERE s.id = v.stream_id)
 LIMIT 200;

-- name: views_of_connections
SELECT connection_id, stream_id FROM stream_views WHERE relation = '{}' AND connection_id = ANY (%(connections)s);

-- name: forget_views
WITH columns AS (
    DELETE FROM view_columns WHERE stream_id = ANY (%(streams)s)
), stores AS (
    DELETE FROM view_stores WHERE stream_id = ANY (%(streams)s)
)
DELETE FROM stream_views WHERE stream_id = ANY (%(streams)s);

-- name: forget_prefixes
DELETE FROM view_prefixes p
 WHERE p.connection_id = ANY (%(connections)s)
   AND NOT EXISTS (SELECT FROM stream_views v WHERE v.connection_id = p.connection_id);

-- name: stores_of_stream
SELECT * FROM view_stores WHERE stream_id = ANY (%(streams)s);

-- name: count_up_to
SELECT count(*) AS records
  FROM (SELECT FROM records_NN WHERE bucket = %(bucket)s AND stream_id = %(stream)s LIMIT %(limit)s) r;

-- name: stream_was_counted
UPDATE stream_views SET counted_at = now() WHERE stream_id = %(stream)s;

-- name: start_store
INSERT INTO view_stores (table_name, stream_id, bucket, signature, position, system_id)
SELECT %(table)s, %(stream)s, %(bucket)s, %(signature)s, pg_snapshot_xmin(pg_current_snapshot()),
       headrace_counter();

-- name: stores_to_tend
-- Those that are being filled first, then those that were refreshed the longest ago.
SELECT v.*, v.system_id <> headrace_counter() AS foreign_position, s.name,
       s.options, c.id AS connection_id, c.name AS connection, c.environment, c.system, c.manifest_version
  FROM view_stores v JOIN streams s ON s.id = v.stream_id JOIN connections c ON c.id = s.connection_id
 ORDER BY v.active, v.refreshed_at LIMIT 50;

-- name: lock_store
-- Whoever deletes a record holds this row until he commits, so nothing that he deleted is read here and written again.
SELECT position::text AS position, built_to, active, pg_snapshot_xmin(pg_current_snapshot())::text AS horizon
  FROM view_stores WHERE table_name = %(table)s FOR UPDATE SKIP LOCKED;

-- name: next_key_of_store
SELECT max(key) AS key, count(*) AS records
  FROM (SELECT key FROM records_NN
         WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND key > %(after)s ORDER BY key LIMIT %(limit)s) r;

-- name: store_was_filled
UPDATE view_stores SET built_to = %(built_to)s, refreshed_at = now() WHERE table_name = %(table)s;

-- name: next_position_of_store
-- Whole transactions only, and none that may still be under way.
SELECT max(change_xid::text::numeric)::text AS last, count(*) AS records
  FROM (SELECT change_xid FROM records_NN
         WHERE bucket = %(bucket)s AND stream_id = %(stream)s
           AND change_xid >= %(position)s::text::xid8 AND change_xid < %(horizon)s::text::xid8
         ORDER BY change_xid LIMIT %(limit)s) r;

-- name: store_was_refreshed
UPDATE view_stores SET position = %(position)s::text::xid8, refreshed_at = now() WHERE table_name = %(table)s;

-- name: use_store
UPDATE view_stores SET active = true WHERE table_name = %(table)s;

-- name: forget_store
DELETE FROM view_stores WHERE table_name = %(table)s;

-- name: mapping_of_stream
SELECT stream_id, model, mapping FROM model_streams WHERE stream_id = ANY (%(streams)s);

-- name: keep_mapping
INSERT INTO model_mappings (mapping, model, branch, lines) VALUES (%(mapping)s, %(model)s, %(branch)s, %(lines)s)
ON CONFLICT (mapping) DO NOTHING;

-- name: keep_model_stream
INSERT INTO model_streams (model, stream_id, connection_id, bucket, mapping)
VALUES (%(model)s, %(stream)s, %(connection)s, %(bucket)s, %(mapping)s)
ON CONFLICT (model, stream_id) DO UPDATE SET mapping = excluded.mapping;

-- name: forget_model_stream
DELETE FROM model_streams WHERE stream_id = %(stream)s AND model = %(model)s;

-- name: forget_model_streams
DELETE FROM model_streams WHERE stream_id = ANY (%(streams)s) RETURNING model;

-- name: mappings_in_use
SELECT m.mapping, m.model, m.branch, m.lines FROM model_mappings m
 WHERE EXISTS (SELECT FROM model_streams s WHERE s.mapping = m.mapping)
 ORDER BY m.model, m.mapping;

-- name: model_streams_of_connection
SELECT s.model, s.stream_id, s.bucket, m.branch, m.lines
  FROM model_streams s JOIN model_mappings m ON m.mapping = s.mapping
 WHERE s.connection_id = %(connection)s
 ORDER BY s.model, s.stream_id;

-- name: model_views_like
SELECT relname::text AS name FROM pg_class
 WHERE relnamespace = 'models'::regnamespace AND relkind = 'v' AND starts_with(relname::text, %(beginning)s);

-- name: view_text
SELECT obj_description(c.oid, 'pg_class') AS signature FROM pg_class c
 WHERE c.relnamespace = %(schema)s::text::regnamespace AND c.relname = %(name)s;
