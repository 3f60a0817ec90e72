-- The change feed: epochs, consumers, subscriptions, deliveries. Additive: a process of the version before runs beside it.

-- One row. A place in the feed is (transaction, number), and means something only in the cluster that gave it: `identity`
-- names that cluster, `epoch` counts how often it was another one. NULL: nobody has looked yet.
-- Of what lies before the floor, tombstones were forgotten.
CREATE TABLE feed_state (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch       integer NOT NULL DEFAULT 1,
    identity    text,
    opened_at   timestamptz NOT NULL DEFAULT now(),
    floor_epoch integer NOT NULL DEFAULT 0,
    floor_xid   xid8 NOT NULL DEFAULT '0',
    floor_seq   bigint NOT NULL DEFAULT 0
);
INSERT INTO feed_state DEFAULT VALUES;

-- Which cluster is this? The system's number and the timeline change with a restore of files and with a failover, the
-- oids with a restore of a dump. `-` stands for what this server doesn't let its users read; oids can always be read.
CREATE FUNCTION headrace_cluster() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    system text := '-';
    timeline text := '-';
BEGIN
    BEGIN
        SELECT system_identifier::text INTO system FROM pg_control_system();
    EXCEPTION WHEN OTHERS THEN
        system := '-';
    END;
    BEGIN
        timeline := substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
    EXCEPTION WHEN OTHERS THEN
        timeline := '-';
    END;
    RETURN concat_ws('/', system, timeline, (SELECT oid FROM pg_database WHERE datname = current_database()),
                     'feed_state'::regclass::oid);
END
$$;

-- Readers whose position is kept here.
CREATE TABLE feed_consumers (
    name         text PRIMARY KEY CHECK (name <> ''),
    position     text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    committed_at timestamptz NOT NULL DEFAULT now()
);

-- Who is told of changes. A subscription is a reader of the feed with a position, which moves when messages were
-- delivered; what could not be is in `pending_deliveries`, so that one record doesn't keep the others waiting.
CREATE TABLE subscriptions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL UNIQUE CHECK (name <> ''),
    url             text NOT NULL,
    secret          text NOT NULL,                     -- a reference only: env://…, file://…
    connection_id   bigint REFERENCES connections (id) ON DELETE CASCADE,
    stream          text,
    kinds           text[],                            -- NULL: all
    state           text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
    reason          text,                              -- why it was disabled, in words
    position        text NOT NULL,
    replay_since    timestamptz,                       -- up to the place below, only what changed since then
    replay_until    text,
    attempt         integer NOT NULL DEFAULT 0,        -- rests in a row of the whole endpoint
    failing_since   timestamptz,                       -- nothing was delivered since
    next_at         timestamptz,                       -- the endpoint rests until then
    woken_at        timestamptz,                       -- a message for a worker is under way
    claim_no        bigint NOT NULL DEFAULT 0,         -- the fence
    lease_until     timestamptz,
    delivered       bigint NOT NULL DEFAULT 0,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT subscriptions_reason_iff_disabled CHECK ((state = 'disabled') = (reason IS NOT NULL))
);
CREATE INDEX subscriptions_connection ON subscriptions (connection_id);

-- What was refused, by record: whatever the record becomes meanwhile, its latest state is what is sent.
CREATE TABLE pending_deliveries (
    subscription_id bigint NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
    stream_id       bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    key             text NOT NULL,
    attempt         integer NOT NULL DEFAULT 1,
    next_at         timestamptz,                       -- NULL: given up, until the record changes again
    error           text NOT NULL,
    failed_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subscription_id, stream_id, key)
);
CREATE INDEX pending_deliveries_due ON pending_deliveries (subscription_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX pending_deliveries_stream ON pending_deliveries (stream_id);
