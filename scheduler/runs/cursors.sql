-- How far have streams been read, and how far can their cursors be trusted?

-- name: cursors_of_connection
-- Everything that says how far a cursor can be trusted.
SELECT s.id, s.name AS stream, s.options, s.look_back, s.history_done_at, c.clock_skew, c.system, c.manifest_version, c.settings,
       u.watermark, u.window_since, u.window_until, u.position IS NOT NULL AS reading, u.updated_at AS moved_at,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('reason', d.reason, 'times', d.times, 'first_at', d.first_at,
                                                     'last_at', d.last_at) ORDER BY d.reason), '[]')
          FROM cursor_doubts d WHERE d.stream_id = s.id) AS doubts
  FROM streams s
  JOIN connections c ON c.id = s.connection_id
  LEFT JOIN cursors u ON u.stream_id = s.id AND u.track = 'live' AND u.slice = ''
 WHERE s.connection_id = %(connection)s AND s.enabled
   AND (%(stream)s::text IS NULL OR s.name = %(stream)s)
 ORDER BY s.name;
