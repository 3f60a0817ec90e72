-- Comparisons with the source, as screens and the API show them.

-- name: verifications_of
-- The latest of a connection or of one stream; `before` is the run of the last one that was shown.
SELECT v.run_id, c.name AS connection, s.name AS stream, v.started_at, v.finished_at, v.methods, v.scope, v.allowance,
       v.requests, v.checked, v.copy_records, v.source_records, v.missing, v.extra, v.different, v.pending, v.repaired,
       v.proven, v.words, v.examples
  FROM verifications v JOIN streams s ON s.id = v.stream_id JOIN connections c ON c.id = s.connection_id
 WHERE c.id = %(connection)s
   AND (%(stream)s::bigint IS NULL OR s.id = %(stream)s)
   AND (%(before)s::uuid IS NULL OR v.run_id < %(before)s::uuid)
 ORDER BY v.run_id DESC LIMIT %(limit)s;

-- name: verifications_by_run
SELECT v.run_id, s.name AS stream, v.started_at, v.finished_at, v.methods, v.scope, v.allowance, v.requests, v.checked,
       v.copy_records, v.source_records, v.missing, v.extra, v.different, v.pending, v.repaired, v.proven, v.words,
       v.examples
  FROM verifications v JOIN streams s ON s.id = v.stream_id
 WHERE v.run_id = ANY (%(runs)s)
 ORDER BY s.name;

-- name: proofs
-- How each stream of a connection stood at its last comparison.
SELECT s.name AS stream, s.proven_at, s.drift, s.next_verify_at, v.run_id, v.finished_at, v.checked, v.copy_records,
       v.source_records, v.proven, v.words
  FROM streams s
  LEFT JOIN LATERAL (
      SELECT * FROM verifications WHERE stream_id = s.id ORDER BY run_id DESC LIMIT 1
  ) v ON true
 WHERE s.connection_id = %(connection)s AND (%(stream)s::bigint IS NULL OR s.id = %(stream)s)
 ORDER BY s.name;
