-- What a trusted copy asks of the tables that are there. Additive: a process of the version before runs beside it.

-- Connections. How far the source's clock is ahead of ours, in seconds, as its answers say.
ALTER TABLE connections ADD COLUMN clock_skew double precision NOT NULL DEFAULT 0;

-- Streams: what the connections file says beyond schedule and history, what was learned, and when the slower rounds are due.
ALTER TABLE streams
    ADD COLUMN options           jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN look_back         double precision CHECK (look_back >= 0),   -- NULL: as the manifest says
    ADD COLUMN runs_with_records integer NOT NULL DEFAULT 0,                -- live runs in a row that read something
    ADD COLUMN erased            boolean NOT NULL DEFAULT false,            -- records were erased: every page is screened
    ADD COLUMN history_paused_at timestamptz,
    ADD COLUMN history_failures  integer NOT NULL DEFAULT 0,                -- in a row
    ADD COLUMN history_next_at   timestamptz,                               -- not asked for again before
    ADD COLUMN history_error_code text,
    ADD COLUMN history_error     text,
    ADD COLUMN next_sweep_at     timestamptz,
    ADD COLUMN next_verify_at    timestamptz,
    ADD COLUMN proven_at         timestamptz,
    ADD COLUMN drift             integer CHECK (drift >= 0),                -- differences at the last comparison
    ADD COLUMN fuse              jsonb;                                     -- why deletes are held until somebody decides
CREATE INDEX streams_sweep_due ON streams (next_sweep_at) WHERE next_sweep_at IS NOT NULL;
CREATE INDEX streams_verify_due ON streams (next_verify_at) WHERE next_verify_at IS NOT NULL;

-- Runs wait for a window of the plant, or for a parent's run; and more may cause them.
ALTER TABLE runs DROP CONSTRAINT runs_wait_reason_check, DROP CONSTRAINT runs_cause_check;
ALTER TABLE runs
    ADD CONSTRAINT runs_wait_reason_check
        CHECK (wait_reason IN ('retry', 'limit', 'slice', 'drain', 'rescue', 'window', 'parent')),
    ADD CONSTRAINT runs_cause_check
        CHECK (cause IN ('schedule', 'api', 'cli', 'webhook', 'first_sync', 'resync', 'sweep', 'verify', 'repair'));

-- Records: by what evidence one is gone, and the bytes as sent of one that Postgres can't read as JSON. NULL costs nothing.
ALTER TABLE records
    ADD COLUMN delete_reason text
        CHECK (delete_reason IN ('flag', 'tombstone', 'delta', 'not_found', 'sweep', 'erased')),
    ADD COLUMN exact         bytea;

-- Newer wins: may what was asked for at `at`, in this version, replace what is held? The one place of the rule, inlined
-- where it is used. What is authoritative (a re-read on request) need not have a greater version, but never replaces what
-- was asked for later.
CREATE FUNCTION headrace_newer(held_version bigint, held_at timestamptz, version bigint, at timestamptz,
                               authoritative boolean) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT version > held_version
           OR ((authoritative OR held_version IS NULL OR version IS NULL OR version = held_version) AND held_at <= at)
$$;
-- Does the same content, seen again, say more than what is held of it? A later version; or a later look, where there is none.
CREATE FUNCTION headrace_moved_on(held_version bigint, held_at timestamptz, version bigint, at timestamptz)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN version IS NULL THEN held_version IS NULL AND at > held_at
                ELSE held_version IS NULL OR version > held_version END
$$;
-- Is another run of the stream at work, which may hold an earlier look at the same records?
CREATE FUNCTION headrace_beside(stream bigint, run uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM runs WHERE stream_id = stream AND state = 'running' AND id <> run)
$$;
