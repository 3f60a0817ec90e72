-- What a run set aside, which fields records have, and what comparisons with the source found.

-- name: set_aside_by
-- Why, and on which pages. Asked only by a run that set something aside.
SELECT code, count(*) AS records, array_agg(DISTINCT page ORDER BY page) AS pages
  FROM quarantine WHERE stream_id = %(stream)s AND run_id = %(run)s
 GROUP BY code ORDER BY records DESC, code;

-- name: holds_records
SELECT EXISTS (SELECT FROM records WHERE bucket = %(bucket)s AND stream_id = %(stream)s AND deleted_at IS NULL) AS found;

