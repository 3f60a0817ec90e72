-- Versions of records, and what was erased. Additive: a process of the version before runs beside it.

-- What records were before they changed. The present state stands in `records` alone, so a state that lasts costs nothing
-- here, and the day on which a partition may go is the day on which its states ended: no later question needs them.
CREATE TABLE record_versions (
    stream_id         bigint NOT NULL,
    key               text NOT NULL,
    valid_from        timestamptz NOT NULL,            -- of what was there before versions were kept: when it was first seen
    valid_to          timestamptz NOT NULL,            -- when another state took its place
    raw               json NOT NULL,
    exact             bytea,
    content_hash      uuid NOT NULL,
    version           bigint,
    observed_at       timestamptz NOT NULL,
    source_updated_at timestamptz,
    first_seen_at     timestamptz NOT NULL,
    deleted_at        timestamptz,                     -- set: what ended was a tombstone, since the record came back
    delete_reason     text,
    change_kind       text NOT NULL,
    cause_id          uuid NOT NULL,
    ended_by          uuid NOT NULL                    -- the run that brought the next state
) PARTITION BY RANGE (valid_to);
-- Where a month's partition is missing (no beat for long), a page must be committed all the same.
CREATE TABLE record_versions_default PARTITION OF record_versions DEFAULT;
CREATE INDEX record_versions_key ON record_versions (stream_id, key, valid_to);
CREATE INDEX record_versions_ended ON record_versions (ended_by);
CREATE INDEX record_versions_cause ON record_versions (cause_id);

-- Since when a stream's versions are kept: switched off and on again, there is a gap, so it counts anew. And by which rules
-- all that is stored of its fields was screened: where the file says something else by now, that is done again, key by key.
CREATE FUNCTION headrace_rules(options jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce((options -> 'exclude')::text, '[]') || coalesce((options -> 'hash')::text, '[]');
ALTER TABLE streams
    ADD COLUMN versions_since timestamptz,
    ADD COLUMN screened_as    text NOT NULL DEFAULT '[][]',
    ADD COLUMN screened_to    text;                    -- the key up to which it is done; NULL: not begun
CREATE INDEX streams_to_screen ON streams (id) WHERE screened_as <> headrace_rules(options);
CREATE FUNCTION headrace_note_options() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce((NEW.options ->> 'keep_versions')::float8, 0) <= 0 THEN
        NEW.versions_since := NULL;
    ELSE
        NEW.versions_since := coalesce(NEW.versions_since, clock_timestamp());
    END IF;
    IF TG_OP = 'INSERT' THEN
        NEW.screened_as := headrace_rules(NEW.options);
    ELSIF headrace_rules(NEW.options) <> headrace_rules(OLD.options) THEN
        NEW.screened_to := NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER streams_note_options BEFORE INSERT OR UPDATE OF options ON streams
   FOR EACH ROW EXECUTE FUNCTION headrace_note_options();

-- What must not come back: a digest of the record's key, made with a secret key that isn't in the database.
CREATE TABLE erasures (
    id         uuid PRIMARY KEY DEFAULT headrace_uuid7(),
    stream_id  bigint NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    key_digest bytea NOT NULL,
    made_with  bytea NOT NULL,                         -- tells one secret key from another, and nothing of it
    reason     text,
    erased_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT erasures_key UNIQUE (stream_id, key_digest)
);

-- Do these words repeat any of those?
CREATE FUNCTION headrace_repeats(words text, needles text[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(bool_or(position(n IN words) > 0), false) FROM unnest(needles) AS n
$$;
-- A run's scope without a key that it names.
CREATE FUNCTION headrace_without(scope jsonb, key text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT jsonb_object_agg(e.name, CASE WHEN jsonb_typeof(e.value) = 'array' THEN e.value - key
                                         WHEN e.value = to_jsonb(key) THEN '""' ELSE e.value END)
      FROM jsonb_each(scope) AS e (name, value)
$$;

-- Tombstones go when their time is over; there are few, and they are found without reading the rest.
CREATE INDEX records_tombstones ON records (deleted_at) WHERE deleted_at IS NOT NULL;

-- Streams whose connection is gone, and whose records follow in batches.
CREATE TABLE removed_streams (
    stream_id  bigint PRIMARY KEY,
    bucket     smallint NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now()
);

-- How the database grows, and how much room its disk has, where that can be seen.
CREATE TABLE storage_samples (
    taken_at   timestamptz PRIMARY KEY DEFAULT now(),
    bytes      bigint NOT NULL,
    free_bytes bigint,
    disk_bytes bigint
);
