-- Comparisons with the source, and the fields that records have. Additive: a process of the version before runs beside it.

-- Fields. What the records of a stream hold, from samples of their pages: names and types, never content.
CREATE TABLE stream_fields (
    stream_id     bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    path          text[] NOT NULL,                     -- {asset,name}; {lines,*,sku} is a field of a list's entries
    types         text[] NOT NULL,                     -- all that were seen: null boolean integer number text time date object list
    state         text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'known', 'vanished', 'retyped')),
    example       text,                                -- what a value looks like, without it: `text of 12`
    seen          bigint NOT NULL DEFAULT 0,           -- looked at and there
    missed        bigint NOT NULL DEFAULT 0,           -- looked at since it was last there
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    changed_at    timestamptz NOT NULL DEFAULT now(),  -- since when its state is what it is
    gap           bigint NOT NULL DEFAULT 0,           -- the longest that it was missed before it came again
    was           text[],                              -- retyped: the types that it had before
    accepted_at   timestamptz,                         -- somebody knows of its state
    PRIMARY KEY (stream_id, path)
);

-- Quarantine. When a record was last tried again, and by which shape of its stream that of the whole quarantine was.
ALTER TABLE quarantine ADD COLUMN retried_at timestamptz;
ALTER TABLE streams ADD COLUMN quarantine_shape text;

-- What comparisons with the source found.
CREATE TABLE verifications (
    run_id         uuid PRIMARY KEY,
    stream_id      bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz NOT NULL DEFAULT now(),
    methods        text[] NOT NULL,                    -- complete, ids, slices, single
    scope          jsonb NOT NULL,                     -- what was compared: filters, since when, what is left out
    allowance      integer NOT NULL,
    requests       integer NOT NULL,
    checked        bigint NOT NULL,                    -- records whose content was compared
    copy_records   bigint NOT NULL,
    source_records bigint,                             -- as far as the system says, or all of it was read
    missing        integer NOT NULL,
    extra          integer NOT NULL,
    different      integer NOT NULL,
    pending        integer NOT NULL,                   -- differ, and the next sync is to bring them
    repaired       integer NOT NULL,
    proven         boolean NOT NULL,                   -- every key and hash was compared, and they are equal
    words          text NOT NULL,
    examples       jsonb NOT NULL DEFAULT '[]',        -- keys and names of fields, never content
    waiting        jsonb NOT NULL DEFAULT '{}'         -- pending ones without a time, to be looked at again
);
CREATE INDEX verifications_stream ON verifications (stream_id, run_id DESC);

-- Cursors. How far behind their stream's watermark records came in, by day and class of distance; narrowest look-back
-- within which they were seen.
CREATE TABLE cursor_lateness (
    stream_id bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    day       date NOT NULL DEFAULT current_date,
    grade     smallint NOT NULL,                       -- floor(4 × log2 of the distance)
    records   bigint NOT NULL CHECK (records > 0),
    within    double precision NOT NULL,
    PRIMARY KEY (stream_id, day, grade)
);
-- Why a stream's cursor alone can't be trusted.
CREATE TABLE cursor_doubts (
    stream_id bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    reason    text NOT NULL CHECK (reason IN ('nulls', 'too_late', 'token_expired', 'pages_shifted')),
    times     bigint NOT NULL CHECK (times > 0),       -- records without a cursor; else how often
    first_at  timestamptz NOT NULL DEFAULT now(),
    last_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream_id, reason)
);
