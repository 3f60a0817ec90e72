-- What throughput asks of the tables. Additive: a process of the version before runs beside it.

-- A ledger that turns over every few minutes must be vacuumed by its churn, and not by its size.
ALTER TABLE runs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
                      autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);

-- Schedules. A stream's own place in any interval: the 64 bits of a hash of its id, in two's complement. NULL: no beat has
-- seen the stream yet; the first that does keeps it here.
ALTER TABLE streams ADD COLUMN place bigint;

-- The first point strictly after `after` of a plain interval, as `next_due` of beat reckons it; NULL where beat must: a wall
-- time, a place that isn't known, or a schedule that isn't as it should be. 9223372036854775807 % step is 2^63 - 1 within it.
CREATE FUNCTION headrace_next_point(schedule jsonb, place bigint, after timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    every numeric;
    step bigint;
    start bigint;
BEGIN
    IF place IS NULL OR schedule ? 'at' OR jsonb_typeof(schedule -> 'every') IS DISTINCT FROM 'number' THEN
        RETURN NULL;
    END IF;
    every := schedule -> 'every';
    IF every < 1 OR every > 31622400 OR every % 1 <> 0 THEN
        RETURN NULL;
    END IF;
    step := every * 1000;
    start := (place % step + step
              + CASE WHEN place < 0 THEN (9223372036854775807 % step + 1) * 2 ELSE 0 END) % step;
    RETURN timestamptz 'epoch' + interval '1 millisecond'
           * (start + ((floor(extract(epoch FROM after) * 1000)::bigint - start) / step + 1) * step);
END
$$;

-- What waits for a message and what has one are looked for apart, each by its own index, so that a look costs what can be
-- woken and not what waits.
CREATE INDEX runs_unpublished ON runs (queue, connection_id, lane, not_before)
 WHERE state = 'queued' AND published_at IS NULL;
CREATE INDEX runs_published ON runs (queue, published_at) WHERE state = 'queued' AND published_at IS NOT NULL;
DROP INDEX runs_waiting;
CREATE VIEW served_queues AS
    SELECT queue, sum(p.slots) AS slots FROM processes p CROSS JOIN unnest(p.queues) AS queue
     WHERE p.kind = 'worker' AND p.seen_at > now() - interval '60 seconds'
     GROUP BY queue;
CREATE VIEW wakeable_runs AS
    SELECT r.ctid AS place, r.id, r.queue, r.connection_id, r.account, r.lane, r.not_before, r.wait_reason
      FROM runs r
     WHERE r.state = 'queued' AND r.published_at IS NULL AND r.not_before <= now()
       AND NOT EXISTS (SELECT FROM runs o
                        WHERE o.stream_id = r.stream_id AND o.track = r.track AND o.state = 'running');
-- Runs on their way to their first request. Who was claimed longer ago has it behind him, however long the answer takes.
CREATE VIEW sent_runs AS
    SELECT queue, account FROM runs WHERE state = 'queued' AND published_at IS NOT NULL
    UNION ALL
    SELECT queue, account FROM runs WHERE state = 'running' AND claimed_at > now() - interval '2 seconds';
CREATE INDEX runs_refused ON runs (account, not_before) WHERE state = 'queued' AND wait_reason = 'limit';

-- Since when a beat's rounds have gone on, as distinct from its process being there.
ALTER TABLE processes ADD COLUMN ticked_at timestamptz;

-- Records. A new row is sent without what is the same for all: the less is sent, the less is packed.
ALTER TABLE records ALTER COLUMN first_seen_at SET DEFAULT now();
-- Every process holds numbers of its own in advance; a position in the feed is (transaction, number), so gaps mean nothing.
ALTER SEQUENCE record_change_seq CACHE 512;
-- A partition is vacuumed when a twentieth of it is dead, and not when a fifth is: each block then keeps room for its own
-- changes, and the table stays as large as it was.
DO $$
DECLARE part regclass;
BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'records'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0.05)', part);
    END LOOP;
END
$$;

-- Limits. Quotas of a day or month and windows too long to be forgotten, counted in blocks that Valkey hands out.
CREATE TABLE budget_quotas (
    scope   text NOT NULL,
    rule    text NOT NULL,
    period  timestamptz NOT NULL DEFAULT '-infinity',
    used    bigint NOT NULL CHECK (used >= 0),
    lent    bigint NOT NULL CHECK (lent >= 0),
    fetched timestamptz[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (scope, rule)
);

-- Poisoned runs. A lapsed lease says little about each of the runs that a dead process held, so it is only counted; a run
-- that was rescued twice goes alone in a process, and what ends that one counts as its failure.
ALTER TABLE runs ADD COLUMN rescues smallint NOT NULL DEFAULT 0,
                 ADD COLUMN alone boolean NOT NULL DEFAULT false;
