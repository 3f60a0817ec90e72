-- How well do webhooks tell? What came, what was told of, and what the poll found that nobody had told of.

-- name: webhook_numbers
-- Connections that take webhooks, or are to: a row each, in the order of their names.
SELECT c.id, c.name AS connection, c.environment, c.tenant, c.system,
       coalesce(w.received, 0) AS received, coalesce(w.repeated, 0) AS repeated, coalesce(w.refused, 0) AS refused,
       coalesce(w.told, 0) AS told, coalesce(w.missed, 0) AS missed, coalesce(w.unheard, 0) AS unheard,
       (SELECT count(*) FROM (SELECT FROM events e JOIN streams s ON s.id = e.stream_id
                               WHERE s.connection_id = c.id AND e.state = 'pending' LIMIT 10000) few) AS pending,
       (SELECT e.received_at FROM events e WHERE e.connection_id = c.id ORDER BY e.id DESC LIMIT 1) AS last_at,
       g.state AS registration, g.error AS registration_error, g.expires_at
  FROM connections c
  LEFT JOIN LATERAL (
      SELECT sum(n.received)::bigint AS received, sum(n.repeated)::bigint AS repeated, sum(n.refused)::bigint AS refused,
             sum(n.told)::bigint AS told, sum(n.missed)::bigint AS missed, sum(n.unheard)::bigint AS unheard, count(*) AS days
        FROM webhook_counts n WHERE n.connection_id = c.id AND n.day > current_date - %(days)s::int
  ) w ON true
  LEFT JOIN LATERAL (
      SELECT CASE WHEN bool_or(r.state = 'failing') THEN 'failing' WHEN bool_or(r.state = 'removing') THEN 'removing'
                  ELSE max(r.state) END AS state,
             min(r.error) AS error, min(r.expires_at) AS expires_at
        FROM webhook_registrations r WHERE r.connection_id = c.id
  ) g ON true
 WHERE (%(connection)s::bigint IS NULL OR c.id = %(connection)s)
   AND (c.name, c.id) > (%(after_name)s, %(after_id)s::bigint)
   AND (w.days > 0 OR g.state IS NOT NULL OR %(connection)s::bigint IS NOT NULL)
   AND headrace_sees(%(environment)s, %(tenants)s, %(connections)s, %(labels)s, c)
 ORDER BY c.name, c.id
 LIMIT %(limit)s;

-- name: nobodys
-- What came for names that no connection has.
SELECT coalesce(sum(refused), 0)::bigint AS refused
  FROM webhook_counts WHERE connection_id = 0 AND day > current_date - %(days)s::int;

-- name: stream_numbers
SELECT s.name AS stream, s.enabled, s.poll_stretch AS stretch, s.options ->> 'poll' AS poll,
       coalesce(w.received, 0) AS received, coalesce(w.repeated, 0) AS repeated,
       coalesce(w.told, 0) AS told, coalesce(w.missed, 0) AS missed, coalesce(w.unheard, 0) AS unheard,
       (SELECT count(*) FROM (SELECT FROM events e WHERE e.stream_id = s.id AND e.state = 'pending' LIMIT 10000) few) AS pending
  FROM streams s
  LEFT JOIN LATERAL (
      SELECT sum(n.received)::bigint AS received, sum(n.repeated)::bigint AS repeated,
             sum(n.told)::bigint AS told, sum(n.missed)::bigint AS missed, sum(n.unheard)::bigint AS unheard
        FROM webhook_counts n
       WHERE n.connection_id = s.connection_id AND n.stream_id = s.id AND n.day > current_date - %(days)s::int
  ) w ON true
 WHERE s.connection_id = %(connection)s
 ORDER BY s.name;
