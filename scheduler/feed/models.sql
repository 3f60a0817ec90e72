-- What the API reads of the unified models.

-- name: streams_of_model
SELECT s.model, s.stream_id, s.connection_id, s.bucket, m.branch, m.lines
  FROM model_streams s
  JOIN model_mappings m ON m.mapping = s.mapping
  JOIN connections c ON c.id = s.connection_id
 WHERE s.model = %(model)s AND m.branch IS NOT NULL AND (%(connection)s::bigint IS NULL OR c.id = %(connection)s)
   AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
 ORDER BY s.stream_id;

-- name: lines_of_model
SELECT s.stream_id, s.bucket, m.lines
  FROM model_streams s JOIN model_mappings m ON m.mapping = s.mapping
 WHERE s.model = %(model)s AND s.connection_id = %(connection)s AND m.branch IS NULL;
