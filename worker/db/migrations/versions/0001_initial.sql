-- The first migration: every table that later work stands on. docs/concepts.md draws the states, worker/db/tables.py
-- mirrors the columns, and a test holds the two against each other.

-- Ids of runs grow with time, so their indexes stay dense and a range of ids is a range of time.
-- Postgres brings uuidv7() only from 18 on, and 16 is supported.
CREATE FUNCTION headrace_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
            || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid
$$;

-- Ends the transaction of a worker whose run was given to another. Raised inside the statement that writes, so the
-- COMMIT that was sent along with it commits nothing.
CREATE FUNCTION headrace_require_lease(held boolean, run uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT held THEN
        RAISE EXCEPTION 'run % is no longer ours', run USING ERRCODE = 'HR001';
    END IF;
    RETURN true;
END
$$;

CREATE TABLE connections (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CHECK (name <> ''),
    environment text NOT NULL DEFAULT 'live' CHECK (environment IN ('live', 'test')),
    file_id     text,                                  -- the stable id of the connections file: a name may change
    system      text NOT NULL,
    tenant      text,
    labels      jsonb NOT NULL DEFAULT '{}',
    budget      text,                                  -- joins connections that share an account; NULL: its own
    settings    jsonb NOT NULL DEFAULT '{}',           -- never a secret
    secrets     jsonb NOT NULL DEFAULT '{}',           -- references only: env://…, file://…
    applied     jsonb,                                 -- what the connections file last set, to tell drift from intent
    paused_at   timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT connections_name_key UNIQUE (environment, name),
    CONSTRAINT connections_file_id_key UNIQUE (environment, file_id)
);

-- Who shares a rate limit: an account at a system. One definition, for the workers and for the fair choice of beat.
CREATE FUNCTION headrace_account(c connections) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT c.system || ':' || coalesce('budget:' || c.budget, 'connection:' || c.id::text)
$$;

CREATE TABLE streams (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id    bigint NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    name             text NOT NULL CHECK (name <> ''),
    bucket           smallint NOT NULL CHECK (bucket >= 0),
    enabled          boolean NOT NULL DEFAULT true,
    schedule         jsonb NOT NULL,                   -- {"every": 900} or {"every": 86400, "at": "02:00", "timezone": …}
    history_days     integer CHECK (history_days > 0), -- how far back the first sync reads; NULL: everything
    next_run_at      timestamptz,                      -- NULL: not scheduled (switched off, or its connection is paused)
    history_done_at  timestamptz,
    last_run_id      uuid,
    last_outcome     text,
    last_finished_at timestamptz,
    last_success_at  timestamptz,                      -- what was committed at the source before this is in the copy
    last_error_code  text,
    last_error       text,
    failures         integer NOT NULL DEFAULT 0 CHECK (failures >= 0),  -- in a row
    created_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT streams_name_key UNIQUE (connection_id, name)
) WITH (fillfactor = 80);
CREATE INDEX streams_due ON streams (next_run_at) WHERE next_run_at IS NOT NULL;

CREATE TABLE cursors (
    stream_id    bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    track        text NOT NULL CHECK (track IN ('live', 'history', 'sweep', 'records', 'verify')),
    slice        text NOT NULL DEFAULT '',
    window_since jsonb,                                -- of the run that is under way, or that was interrupted
    window_until jsonb,
    position     jsonb,                                -- where its paging stands; NULL: no window is open
    watermark    jsonb,                                -- every change before this is in the copy
    finished_at  timestamptz,                          -- the slice is complete (history only)
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream_id, track, slice)
) WITH (fillfactor = 70);

CREATE TABLE runs (
    id                  uuid PRIMARY KEY DEFAULT headrace_uuid7(),
    stream_id           bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    connection_id       bigint NOT NULL,
    queue               text NOT NULL,
    account             text NOT NULL,                 -- whose budget it needs: the fair choice goes by it
    track               text NOT NULL CHECK (track IN ('live', 'history', 'sweep', 'records', 'verify')),
    scope               jsonb NOT NULL DEFAULT '{}',
    scope_hash          text NOT NULL DEFAULT '',
    lane                smallint NOT NULL CHECK (lane BETWEEN 0 AND 4),
    cause               text NOT NULL CHECK (cause IN ('schedule', 'api', 'cli', 'webhook', 'first_sync', 'resync')),
    state               text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running')),
    not_before          timestamptz NOT NULL DEFAULT now(),
    wait_reason         text CHECK (wait_reason IN ('retry', 'limit', 'slice', 'drain', 'rescue')),
    published_at        timestamptz,
    claim_no            integer NOT NULL DEFAULT 0,    -- the fence: raised by every claim
    attempt             integer NOT NULL DEFAULT 0,    -- failures so far; a wait or the end of a slice spends none
    lease_until         timestamptz,
    worker              text,
    backend_pid         integer,                       -- of the connection that loads: the rescuer ends it
    request_id          text NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    claimed_at          timestamptz,
    started_at          timestamptz,
    cancel_requested_at timestamptz,
    pages               integer NOT NULL DEFAULT 0,
    records_read        bigint NOT NULL DEFAULT 0,
    records_created     bigint NOT NULL DEFAULT 0,
    records_updated     bigint NOT NULL DEFAULT 0,
    records_deleted     bigint NOT NULL DEFAULT 0,
    records_refused     bigint NOT NULL DEFAULT 0,     -- older than what the copy holds
    records_rejected    bigint NOT NULL DEFAULT 0,     -- set aside, see quarantine
    records_total       bigint,                        -- what the system said there is, for the progress bar
    error_code          text,
    error               text,
    steps               jsonb,
    CONSTRAINT runs_lease_iff_running CHECK ((state = 'running') = (lease_until IS NOT NULL))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX runs_one_queued ON runs (stream_id, track, scope_hash) WHERE state = 'queued';
CREATE UNIQUE INDEX runs_one_running ON runs (stream_id, track) WHERE state = 'running';
CREATE INDEX runs_waiting ON runs (queue, not_before) WHERE state = 'queued';
CREATE INDEX runs_leases ON runs (lease_until) WHERE state = 'running';
CREATE INDEX runs_connection ON runs (connection_id);

-- What became of the runs. Uneventful ones (nothing new, nothing wrong) are by far the most and are kept the shortest,
-- so they have partitions of their own. The id grows with time: a partition is a day of ids, and dropping it is free.
CREATE TABLE run_history (
    id               uuid NOT NULL,
    uneventful       boolean NOT NULL,
    stream_id        bigint NOT NULL,
    connection_id    bigint NOT NULL,
    queue            text NOT NULL,
    track            text NOT NULL,
    scope            jsonb NOT NULL,
    lane             smallint NOT NULL,
    cause            text NOT NULL,
    state            text NOT NULL
                     CHECK (state IN ('succeeded', 'partial', 'suspicious_empty', 'failed', 'cancelled', 'merged')),
    merged_into      uuid,
    claim_no         integer NOT NULL,
    attempt          integer NOT NULL,
    worker           text,
    request_id       text NOT NULL,
    created_at       timestamptz NOT NULL,
    started_at       timestamptz,
    finished_at      timestamptz NOT NULL DEFAULT now(),
    pages            integer NOT NULL,
    records_read     bigint NOT NULL,
    records_created  bigint NOT NULL,
    records_updated  bigint NOT NULL,
    records_deleted  bigint NOT NULL,
    records_refused  bigint NOT NULL,
    records_rejected bigint NOT NULL,
    error_code       text,
    error            text,
    steps            jsonb,
    CONSTRAINT run_history_merged CHECK ((state = 'merged') = (merged_into IS NOT NULL)),
    PRIMARY KEY (id, uneventful)
) PARTITION BY LIST (uneventful);
CREATE TABLE run_history_eventful PARTITION OF run_history FOR VALUES IN (false) PARTITION BY RANGE (id);
CREATE TABLE run_history_uneventful PARTITION OF run_history FOR VALUES IN (true) PARTITION BY RANGE (id);
-- Where a day's partition is missing (no beat for a week), a run must be able to end all the same.
CREATE TABLE run_history_eventful_default PARTITION OF run_history_eventful DEFAULT;
CREATE TABLE run_history_uneventful_default PARTITION OF run_history_uneventful DEFAULT;
CREATE INDEX run_history_stream ON run_history (stream_id, id DESC);
CREATE INDEX run_history_connection ON run_history (connection_id, id DESC);

CREATE SEQUENCE record_change_seq AS bigint CACHE 32;

CREATE TABLE records (
    bucket            smallint NOT NULL,
    stream_id         bigint NOT NULL,
    key               text NOT NULL,
    raw               json NOT NULL,                   -- the bytes as sent: json keeps order, digits and unknown fields
    content_hash      uuid NOT NULL,                   -- xxh3-128 of the content, volatile fields left out
    version           bigint,                          -- the source's own order of changes; NULL: it has none
    observed_at       timestamptz NOT NULL,            -- the database's time when the request was sent
    source_updated_at timestamptz,
    first_seen_at     timestamptz NOT NULL,
    deleted_at        timestamptz,
    cause_kind        text NOT NULL CHECK (cause_kind IN ('run', 'event', 'write')),
    cause_id          uuid NOT NULL,
    change_xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    change_seq        bigint NOT NULL DEFAULT nextval('record_change_seq'),
    change_kind       text NOT NULL CHECK (change_kind IN ('created', 'updated', 'deleted')),
    CONSTRAINT records_deleted_iff CHECK ((change_kind = 'deleted') = (deleted_at IS NOT NULL)),
    PRIMARY KEY (bucket, stream_id, key)
) PARTITION BY LIST (bucket);
CREATE INDEX records_feed ON records (change_xid, change_seq);
DO $$
BEGIN
    FOR n IN 0..31 LOOP
        EXECUTE format('CREATE TABLE records_%s PARTITION OF records FOR VALUES IN (%s) WITH (fillfactor = 90)',
                       lpad(n::text, 2, '0'), n);
    END LOOP;
END
$$;

-- Records that could not be taken. The same bad record, read again, is counted and not piled up.
CREATE TABLE quarantine (
    stream_id     bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    content_hash  uuid NOT NULL,
    key           text,
    code          text NOT NULL,
    reason        text NOT NULL,
    raw           bytea NOT NULL,
    run_id        uuid NOT NULL,
    page          integer NOT NULL,
    seen          integer NOT NULL DEFAULT 1,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream_id, content_hash)
);

-- Who is alive. A process writes here every few seconds; the living notice the dead.
CREATE TABLE processes (
    id         uuid PRIMARY KEY DEFAULT headrace_uuid7(),
    kind       text NOT NULL CHECK (kind IN ('worker', 'beat', 'api')),
    name       text NOT NULL,                          -- host:pid
    queues     text[] NOT NULL DEFAULT '{}',
    slots      integer NOT NULL DEFAULT 0,
    version    text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX processes_seen ON processes (seen_at);
