-- What may accounts still use? Quotas and long windows, counted in blocks. Named statements, each with its why.

-- name: fetch_quota
-- The next block of a day's or month's quota; `lent` is what was left of it, at most a block. The row's lock makes any number
-- of workers take turns. A worker whose clock is behind still asks for the period before: it gets nothing.
INSERT INTO budget_quotas AS q (scope, rule, period, used, lent)
VALUES (%(scope)s, %(rule)s, %(period)s, least(%(block)s, %(quota)s), least(%(block)s, %(quota)s))
ON CONFLICT (scope, rule) DO UPDATE
   SET period = greatest(q.period, excluded.period),
       lent = CASE WHEN q.period > excluded.period THEN 0
                   WHEN q.period < excluded.period THEN excluded.lent
                   ELSE greatest(0, least(%(block)s, %(quota)s - q.used)) END,
       used = CASE WHEN q.period > excluded.period THEN q.used
                   WHEN q.period < excluded.period THEN excluded.lent
                   ELSE q.used + greatest(0, least(%(block)s, %(quota)s - q.used)) END
RETURNING lent, used;

-- name: fetch_window
-- The next block of a sliding window: `fetched` holds when the last ones were, newest last. The block that was fetched a
-- whole limit ago ended when the one after it was fetched, or the one after that, where two workers fetched at once; it
-- must have left the window. `wait` says in how many seconds it has.
INSERT INTO budget_quotas AS q (scope, rule, used, lent, fetched)
VALUES (%(scope)s, %(rule)s, 0, %(block)s, ARRAY[clock_timestamp()])
ON CONFLICT (scope, rule) DO UPDATE
   SET lent = CASE WHEN cardinality(q.fetched) < %(blocks)s
                     OR q.fetched[cardinality(q.fetched) - %(blocks)s + 3]
                        <= clock_timestamp() - make_interval(secs => %(seconds)s)
                   THEN %(block)s ELSE 0 END,
       fetched = CASE WHEN cardinality(q.fetched) < %(blocks)s
                        OR q.fetched[cardinality(q.fetched) - %(blocks)s + 3]
                           <= clock_timestamp() - make_interval(secs => %(seconds)s)
                      THEN (q.fetched || clock_timestamp())[greatest(1, cardinality(q.fetched) - %(blocks)s + 2):]
                      ELSE q.fetched END
RETURNING lent, used,
          CASE WHEN lent > 0 THEN 0
               ELSE extract(epoch FROM q.fetched[cardinality(q.fetched) - %(blocks)s + 3] - clock_timestamp())::float8
                    + %(seconds)s END AS wait;

-- name: meet_valkey
-- A Valkey that holds no mark has lost its memory, or is the first that this database ever met. Only the first call inserts.
INSERT INTO budget_quotas (scope, rule, used, lent) VALUES ('', 'a Valkey was met', 0, 0) ON CONFLICT DO NOTHING;
