-- Sweeps: what was seen, what is missing, and the fuse. Additive: a process of the version before runs beside it.

-- One look at all that a system lists of a stream. A generation is one window, read from its beginning to its end.
CREATE TABLE sweeps (
    stream_id   bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    generation  bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    run_id      uuid NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),    -- before its first request: what was observed later is no candidate
    read_at     timestamptz,                           -- its last page was staged
    finished_at timestamptz,
    pages       integer NOT NULL DEFAULT 0 CHECK (pages >= 0),
    keys        bigint NOT NULL DEFAULT 0 CHECK (keys >= 0),            -- on those pages, repeated ones too
    unreadable  bigint NOT NULL DEFAULT 0 CHECK (unreadable >= 0),      -- entries without a key that can be read
    total       bigint,                                -- what the system says there is
    verdict     text CHECK (verdict IN ('complete', 'doubtful', 'incomplete', 'refuted')),   -- NULL: it is being read
    seen        bigint,                                -- different keys
    held        bigint,                                -- records of the copy then
    missing     bigint,                                -- of these not seen
    unread      bigint,                                -- seen, and not in the copy
    deleted     bigint NOT NULL DEFAULT 0,             -- buried by its run without anybody being asked
    again       boolean NOT NULL DEFAULT false,        -- another look was asked for soon
    words       text,
    PRIMARY KEY (stream_id, generation)
);

-- The keys that a sweep has seen so far, a row for each commit. Not logged: after a crash of Postgres they are gone, which
-- the counts of `sweeps` tell, and the sweep begins anew. So five million keys cost what five thousand rows cost.
CREATE UNLOGGED TABLE swept_pages (
    stream_id  bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    generation bigint NOT NULL,
    number     integer NOT NULL,
    keys       text[] NOT NULL,
    PRIMARY KEY (stream_id, generation, number)
);

-- Records that a complete sweep has missed, until they are seen again or deleted.
CREATE TABLE suspects (
    stream_id    bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    key          text NOT NULL,
    suspected_at timestamptz NOT NULL,                 -- when the first sweep that missed it began
    evidence_at  timestamptz NOT NULL,                 -- the latest evidence: what the copy observed after that stays
    generation   bigint NOT NULL,                      -- the latest sweep that missed it
    missed       integer NOT NULL DEFAULT 1 CHECK (missed > 0),         -- complete sweeps in a row
    reason       text CHECK (reason IN ('sweep', 'not_found')),         -- confirmed, and by what
    fuse         bigint,                               -- the generation of the fuse that holds it
    PRIMARY KEY (stream_id, key)
);
