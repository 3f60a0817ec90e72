-- What the copy takes, per stream, told cheaply: a sample of pages says whose the bytes are, and the catalog how many.

-- name: parts_of
-- The tables that hold a parent's rows, with what Postgres knows of their size; `blocks` are those of the rows themselves.
SELECT c.oid::regclass::text AS name, pg_relation_size(c.oid) / current_setting('block_size')::bigint AS blocks,
       pg_total_relation_size(c.oid) AS bytes
  FROM pg_partition_tree(%(table)s::regclass) t JOIN pg_class c ON c.oid = t.relid
 WHERE t.isleaf AND pg_relation_size(c.oid) > 0;

-- name: stored_streams
SELECT s.id, s.name AS stream, c.name AS connection, c.environment
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE %(connection)s::bigint IS NULL OR c.id = %(connection)s
 ORDER BY c.name, c.environment, s.name;

-- name: quarantined
SELECT stream_id, count(*) AS rows, sum(pg_column_size(q.*))::bigint AS bytes FROM quarantine q GROUP BY stream_id;

-- name: database_size
SELECT pg_database_size(current_database()) AS bytes,
       (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS folder,
       inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr() AS same_host;

-- name: take_sample
INSERT INTO storage_samples (bytes, free_bytes, disk_bytes) VALUES (%(bytes)s, %(free)s, %(disk)s)
ON CONFLICT DO NOTHING;

-- name: forget_samples
DELETE FROM storage_samples WHERE taken_at < now() - interval '30 days';

-- name: samples
-- Over the last week: what happened before says little about the next.
SELECT extract(epoch FROM taken_at)::float8 AS at, bytes FROM storage_samples
 WHERE taken_at > now() - interval '7 days' ORDER BY taken_at;
