-- How late do records come in behind their cursor, how far off is a source's clock, and what makes a cursor doubtful?

-- name: note_late
-- Counted by the day and the class of distance. Of several look-backs the narrowest stays: what lay near its edge stands for
-- what lay beyond.
INSERT INTO cursor_lateness AS l (stream_id, grade, records, within)
SELECT %(stream)s, g.grade, g.records, %(within)s
  FROM unnest(%(grades)s::smallint[], %(records)s::bigint[]) AS g (grade, records)
 ORDER BY g.grade
ON CONFLICT (stream_id, day, grade) DO UPDATE
   SET records = l.records + excluded.records, within = least(l.within, excluded.within);

-- name: lateness
SELECT grade, sum(records)::bigint AS records, min(within) AS within
  FROM cursor_lateness
 WHERE stream_id = %(stream)s AND day > current_date - %(days)s
 GROUP BY grade ORDER BY grade;

-- name: set_look_back
UPDATE streams SET look_back = %(look_back)s WHERE id = %(stream)s;

-- name: note_doubt
INSERT INTO cursor_doubts AS d (stream_id, reason, times) VALUES (%(stream)s, %(reason)s, %(times)s)
ON CONFLICT (stream_id, reason) DO UPDATE SET times = d.times + excluded.times, last_at = now()
RETURNING times;

-- name: note_skew
UPDATE connections SET clock_skew = %(skew)s WHERE id = %(connection)s;

-- name: forget_lateness
-- What came late long ago, and with it a look-back that nothing asks for any more.
WITH gone AS (
    DELETE FROM cursor_lateness WHERE day <= current_date - %(days)s
), settled AS (
    DELETE FROM cursor_doubts WHERE reason <> 'nulls' AND last_at < current_date - %(days)s
)
UPDATE streams s SET look_back = NULL
 WHERE s.look_back IS NOT NULL
   AND NOT EXISTS (SELECT FROM cursor_lateness l WHERE l.stream_id = s.id AND l.day > current_date - %(days)s);
