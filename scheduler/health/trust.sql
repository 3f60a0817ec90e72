-- Streams whose copy is doubtful.

-- name: drifting_streams
SELECT c.name AS connection, s.name AS stream, s.drift, v.words
  FROM streams s
  JOIN connections c ON c.id = s.connection_id
  LEFT JOIN LATERAL (
      SELECT words FROM verifications WHERE stream_id = s.id ORDER BY run_id DESC LIMIT 1
  ) v ON true
 WHERE s.drift > 0 AND s.enabled
 ORDER BY s.drift DESC LIMIT 10;

-- name: empty_streams
SELECT c.name AS connection, s.name AS stream, s.last_error, s.last_finished_at
  FROM streams s JOIN connections c ON c.id = s.connection_id
 WHERE s.last_outcome = 'suspicious_empty' AND s.enabled
 ORDER BY s.last_finished_at DESC LIMIT 10;
