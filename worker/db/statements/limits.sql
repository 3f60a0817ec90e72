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

-- name: lock_window
-- The row of a long window, locked until the block is lent: `fetched` holds when each block was that still counts.
INSERT INTO budget_quotas (scope, rule, used, lent)
VALUES (%(scope)s, %(rule)s, 0, 0)
ON CONFLICT (scope, rule) DO UPDATE SET rule = excluded.rule
RETURNING fetched, used, clock_timestamp() AS now;

-- name: lend_window
-- Of a window `used` is what the last worker without Valkey left of its block.
UPDATE budget_quotas SET fetched = %(fetched)s, used = %(left)s, lent = %(lent)s
 WHERE scope = %(scope)s AND rule = %(rule)s;

-- name: meet_valkey
-- A Valkey that holds no mark has lost its memory, or is the first that this database ever met. Only the first call inserts.
INSERT INTO budget_quotas (scope, rule, used, lent) VALUES ('', 'a Valkey was met', 0, 0) ON CONFLICT DO NOTHING;
