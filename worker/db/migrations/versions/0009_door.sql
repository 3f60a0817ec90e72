-- The way in: tokens and what they did, requests that must not count twice, events of webhooks, and customers who connect
-- their own systems. Additive: a process of the version before runs beside it.

-- Access. -----------------------------------------------------------------------------------------------------------------
CREATE TABLE tokens (
    id              uuid PRIMARY KEY DEFAULT headrace_uuid7(),
    name            text NOT NULL CHECK (name <> ''),
    owner           text NOT NULL CHECK (owner <> ''),
    environment     text NOT NULL CHECK (environment IN ('live', 'test')),
    scopes          text[] NOT NULL CHECK (scopes <> '{}' AND scopes <@ ARRAY['read', 'sync', 'write', 'admin']),
    digest          bytea NOT NULL UNIQUE,             -- SHA-256 of the token, which has 128 bits of its own: nothing to guess
    ending          text NOT NULL,                     -- its last four characters, for people to tell it by
    connections     bigint[],                          -- NULL: all of its environment
    tenants         text[],                            -- NULL: of all customers, and of none
    networks        cidr[],                            -- NULL: from anywhere
    secret_prefixes text[],                            -- references that it may point a connection at; NULL: none but admins'
    created_at      timestamptz NOT NULL DEFAULT now(),
    created_by      uuid,                              -- the token that made it; NULL: the command line
    expires_at      timestamptz,
    successor       uuid,                              -- it was rotated: valid until `expires_at` and no longer
    revoked_at      timestamptz,
    last_used_at    timestamptz,                       -- to the minute
    last_used_from  inet
);
CREATE INDEX tokens_created ON tokens (environment, id DESC);

-- People who logged in with a token. A session is never more than its token is.
CREATE TABLE sessions (
    digest     bytea PRIMARY KEY,                      -- SHA-256 of the cookie's value
    token_id   uuid NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_expired ON sessions (expires_at);

-- Who used which power, on what. Nothing in Headrace changes or deletes a row: partitions go when their time has come.
CREATE TABLE audit (
    id            uuid NOT NULL DEFAULT headrace_uuid7(),
    at            timestamptz NOT NULL DEFAULT now(),
    actor         text NOT NULL,                       -- a token's owner, or `cli`, or `connect-link`
    token_id      uuid,
    environment   text,                                -- NULL: of the whole installation
    tenant        text,
    action        text NOT NULL,                       -- token.create, connection.pause, run.cancel, …
    target        text NOT NULL,                       -- on what, by its id and name
    connection_id bigint,
    request_id    text,
    source        inet,
    detail        jsonb NOT NULL DEFAULT '{}',         -- which fields changed; never a secret
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE TABLE audit_default PARTITION OF audit DEFAULT;
CREATE INDEX audit_connection ON audit (connection_id, id DESC);

CREATE FUNCTION headrace_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'HR002';
END
$$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION headrace_refuse_change();
-- A trigger for rows is every partition's, one for TRUNCATE is not: who makes a partition gives it one.
CREATE TRIGGER audit_whole BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION headrace_refuse_change();
CREATE TRIGGER audit_whole BEFORE TRUNCATE ON audit_default FOR EACH STATEMENT EXECUTE FUNCTION headrace_refuse_change();

-- Which connections does somebody see? One definition, for every list. `tenants` and `connections`: NULL is no limit.
CREATE FUNCTION headrace_sees(environment text, tenants text[], ids bigint[], c connections)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ($1 IS NULL OR c.environment = $1) AND ($2 IS NULL OR c.tenant = ANY ($2)) AND ($3 IS NULL OR c.id = ANY ($3))
$$;
-- The same, of those that carry these labels; NULL is any.
CREATE FUNCTION headrace_sees(environment text, tenants text[], ids bigint[], labels jsonb, c connections)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ($1 IS NULL OR c.environment = $1) AND ($2 IS NULL OR c.tenant = ANY ($2)) AND ($3 IS NULL OR c.id = ANY ($3))
           AND ($4 IS NULL OR c.labels @> $4)
$$;
CREATE INDEX connections_tenant ON connections (tenant) WHERE tenant IS NOT NULL;
CREATE INDEX connections_labels ON connections USING gin (labels);

-- What a subscription may tell of, whatever becomes of the token that made it: looked at again at every delivery, so that it
-- covers later connections of its tenants, and none that are theirs no more. All NULL: everything, as the command line sees it.
ALTER TABLE subscriptions
    ADD COLUMN environment text CHECK (environment IN ('live', 'test')),
    ADD COLUMN tenants     text[],
    ADD COLUMN connections bigint[],
    ADD COLUMN labels      jsonb;
-- What whoever made a reader of the feed sees; who sees anything else has readers of other names.
ALTER TABLE feed_consumers
    ADD COLUMN environment text CHECK (environment IN ('live', 'test')),
    ADD COLUMN tenants     text[],
    ADD COLUMN connections bigint[];

-- Requests that came twice do their work once, for seven days.
CREATE TABLE idempotency_keys (
    token_id    uuid NOT NULL,
    key         text NOT NULL,
    request     bytea NOT NULL,                        -- SHA-256 over method, path and body: the same key says the same thing
    created_at  timestamptz NOT NULL DEFAULT now(),
    claim_no    integer NOT NULL DEFAULT 1,            -- whoever was taken for dead can't answer for its successor
    lease_until timestamptz NOT NULL DEFAULT now(),    -- renewed while it is worked on; lapsed: whoever did so died
    done_at     timestamptz,                           -- NULL: nobody was answered yet
    status      smallint,
    headers     jsonb,
    body        bytea,
    PRIMARY KEY (token_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Outgoing. How a connection's requests leave: references to a CA and to a client's certificate and key, a proxy.
ALTER TABLE connections ADD COLUMN network jsonb NOT NULL DEFAULT '{}';

-- Events of webhooks. -------------------------------------------------------------------------------------------------------
-- Each is the intent to look at something. Stored before it is answered, and done when the copy holds what it told of.
CREATE TABLE events (
    id            uuid NOT NULL DEFAULT headrace_uuid7(),
    connection_id bigint NOT NULL,
    stream_id     bigint NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('record', 'full', 'delete', 'stream')),
    key           text,                                -- of the record; NULL: something in the stream
    type          text,                                -- as the system calls it
    event_key     text NOT NULL,                       -- the system's id of it, or a digest
    record        bytea,                               -- full: the record as it came; gone once it is loaded
    said_at       timestamptz,                         -- when it happened, as the system says
    received_at   timestamptz NOT NULL DEFAULT now(),
    request_id    text NOT NULL,
    state         text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'failed')),
    run_id        uuid,                                -- that did it, or tries to
    attempts      smallint NOT NULL DEFAULT 0,
    not_before    timestamptz,                         -- it failed alone: the others don't wait for it
    outcome       text,                                -- created, updated, unchanged, deleted, older, absent, …
    error         text,
    done_at       timestamptz,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE TABLE events_default PARTITION OF events DEFAULT;
CREATE INDEX events_pending ON events (stream_id, id) WHERE state = 'pending';
CREATE INDEX events_connection ON events (connection_id, id DESC);
CREATE INDEX events_record ON events (stream_id, key, received_at);

-- Changes that the poll found and of which no webhook had told by then. One that is only slower than the poll tells yet.
CREATE TABLE untold_changes (
    stream_id  bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    key        text NOT NULL,
    found_at   timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz,                            -- as the system says
    PRIMARY KEY (stream_id, key)
);
CREATE INDEX untold_changes_found ON untold_changes (found_at);

-- What must be unique for longer than a partition, in a small table of its own.
CREATE TABLE event_keys (
    connection_id bigint NOT NULL,
    key           text NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection_id, key)
);
CREATE INDEX event_keys_age ON event_keys (received_at);

-- What was not taken, counted for good and kept for a short while without its secrets, for whoever sets a webhook up.
CREATE TABLE webhook_refusals (
    id            uuid PRIMARY KEY DEFAULT headrace_uuid7(),
    connection_id bigint,                              -- NULL: there is none of that name
    name          text NOT NULL,                       -- as it stood in the path
    reason        text NOT NULL,                       -- a code: bad_signature, too_old, malformed, unknown_connection, …
    words         text NOT NULL,
    headers       jsonb NOT NULL DEFAULT '{}',         -- names, and values of those that hold no secret
    body          text,                                -- its beginning; only where it can't hold a secret
    source        inet,
    request_id    text NOT NULL
);
CREATE INDEX webhook_refusals_connection ON webhook_refusals (connection_id, id DESC);

-- How many came, and how many changes the poll found of which none had told. By day.
CREATE TABLE webhook_counts (
    connection_id bigint NOT NULL,
    stream_id     bigint NOT NULL DEFAULT 0,           -- 0: of none
    day           date NOT NULL DEFAULT current_date,
    received      bigint NOT NULL DEFAULT 0,           -- stored
    repeated      bigint NOT NULL DEFAULT 0,           -- known already
    refused       bigint NOT NULL DEFAULT 0,           -- unverified, malformed
    told          bigint NOT NULL DEFAULT 0,           -- changes of which a webhook told before the poll found them
    missed        bigint NOT NULL DEFAULT 0,           -- changes that the poll found without one
    PRIMARY KEY (connection_id, stream_id, day)
);

-- Webhooks that we registered at a system. Without a foreign key: after its connection went one is still removed there.
CREATE TABLE webhook_registrations (
    connection_id bigint NOT NULL,
    topic         text NOT NULL DEFAULT '',            -- of the manifest; '': one for all
    remote_id     text,                                -- by which the system knows it
    settled       boolean NOT NULL DEFAULT false,      -- we created it since it was last asked for: its secret is known
    state         text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'active', 'failing', 'removing')),
    url           text NOT NULL,                       -- without a secret path
    expires_at    timestamptz,
    next_at       timestamptz NOT NULL DEFAULT now(),  -- when it is looked after next
    claim_no      integer NOT NULL DEFAULT 0,          -- whoever was taken for dead, or asked otherwise, can't write what it found
    attempts      integer NOT NULL DEFAULT 0,
    error         text,
    parting       jsonb,                               -- removing: what of the connection it takes, references and no secrets
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection_id, topic),
    CHECK ((state = 'removing') = (parting IS NOT NULL))
);
CREATE INDEX webhook_registrations_due ON webhook_registrations (next_at);

-- poll: adaptive. By how much a stream's interval is stretched now; 1: as the file says.
ALTER TABLE streams ADD COLUMN poll_stretch double precision NOT NULL DEFAULT 1 CHECK (poll_stretch >= 1);
ALTER TABLE streams ADD COLUMN stretched_at timestamptz;
CREATE INDEX streams_adaptive ON streams (id) WHERE options ? 'poll';
-- What beat reckons a stream's next point by: its schedule, the plant's windows, and how far webhooks let it stretch.
CREATE FUNCTION headrace_schedule(s streams) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN s.poll_stretch > 1 AND s.options ->> 'poll' = 'adaptive' AND NOT s.schedule ? 'at'
                     AND jsonb_typeof(s.schedule -> 'every') = 'number'
                THEN jsonb_set(s.schedule, '{every}', to_jsonb(least(31622400, floor((s.schedule ->> 'every')::numeric * s.poll_stretch::numeric))))
                ELSE s.schedule END
           || CASE WHEN s.options ? 'windows' THEN jsonb_build_object('windows', s.options -> 'windows') ELSE '{}' END
$$;

-- A kind of run of its own: a webhook must not wait behind somebody's long re-sync.
ALTER TABLE runs DROP CONSTRAINT runs_track_check;
ALTER TABLE runs ADD CONSTRAINT runs_track_check
    CHECK (track IN ('live', 'history', 'sweep', 'records', 'verify', 'events')) NOT VALID;
ALTER TABLE runs VALIDATE CONSTRAINT runs_track_check;
ALTER TABLE cursors DROP CONSTRAINT cursors_track_check;
ALTER TABLE cursors ADD CONSTRAINT cursors_track_check
    CHECK (track IN ('live', 'history', 'sweep', 'records', 'verify', 'events')) NOT VALID;
ALTER TABLE cursors VALIDATE CONSTRAINT cursors_track_check;

-- Disconnected: nothing is fetched any more and no secret is known, and what was read stays.
ALTER TABLE connections ADD COLUMN disconnected_at timestamptz;

-- Customers. ------------------------------------------------------------------------------------------------------------------
-- A link with which somebody connects one system, or logs one connection in again, and sees nothing else.
CREATE TABLE connect_links (
    id            uuid PRIMARY KEY DEFAULT headrace_uuid7(),
    digest        bytea NOT NULL UNIQUE,               -- SHA-256 of the link's secret part
    environment   text NOT NULL CHECK (environment IN ('live', 'test')),
    system        text NOT NULL,
    connection_id bigint REFERENCES connections (id) ON DELETE CASCADE,  -- to log in again; NULL: a new one
    name          text NOT NULL,                       -- of the connection
    tenant        text,
    labels        jsonb NOT NULL DEFAULT '{}',
    settings      jsonb NOT NULL DEFAULT '{}',         -- given already, so not asked for
    secrets       jsonb NOT NULL DEFAULT '{}',         -- references given already, such as those of our client at the system
    store         text NOT NULL,                       -- prefix of references, where what is typed in is written to
    return_url    text,
    created_by    uuid,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    opened_at     timestamptz,
    session       bytea,                               -- SHA-256 of the cookie of the browser that opened it
    used_at       timestamptz,
    revoked_at    timestamptz
);
CREATE INDEX connect_links_created ON connect_links (environment, id DESC);

-- A browser that we sent away to log in at a system. The PKCE verifier isn't here: it is derived from the state and a key
-- that no table holds.
CREATE TABLE oauth_states (
    digest     bytea PRIMARY KEY,                      -- SHA-256 of `state`
    link_id    uuid REFERENCES connect_links (id) ON DELETE CASCADE,
    started    jsonb NOT NULL,                         -- what goes on when it comes back: system, settings, redirect; no secret
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX oauth_states_expired ON oauth_states (expires_at);
