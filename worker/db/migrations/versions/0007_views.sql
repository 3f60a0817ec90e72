-- Views that people can query, and what they are made from. Additive: a process of the version before runs beside it.

-- `data` has a view for every stream, `models` the unified ones; what is kept ready for them is in `headrace_store`.
CREATE SCHEMA IF NOT EXISTS data;
CREATE SCHEMA IF NOT EXISTS models;
CREATE SCHEMA headrace_store;

-- A name, once chosen, stays: whoever queries it must not care that a connection was renamed. None of these refers to
-- streams or connections: the views of one that was removed are dropped by what stands here.
CREATE TABLE view_prefixes (
    connection_id bigint PRIMARY KEY,
    prefix        text NOT NULL UNIQUE
);
CREATE TABLE stream_views (
    stream_id     bigint NOT NULL,
    relation      text[] NOT NULL DEFAULT '{}',        -- {}: the records; {lines}: the entries of that list
    connection_id bigint NOT NULL,
    bucket        smallint NOT NULL,
    name          text NOT NULL UNIQUE,                -- in the schema `data`
    signature     text,                                -- what the view was made from; NULL: not made yet
    basis         text,                                -- what the manifest and the connections file said then
    looked_at     timestamptz NOT NULL DEFAULT 'epoch',
    counted_at    timestamptz NOT NULL DEFAULT 'epoch',
    problem       text,                                -- why it could not be made as it should be
    PRIMARY KEY (stream_id, relation)
);
CREATE INDEX stream_views_connection ON stream_views (connection_id);
CREATE TABLE view_columns (
    stream_id bigint NOT NULL,
    relation  text[] NOT NULL DEFAULT '{}',
    name      text NOT NULL,
    path      text[] NOT NULL,                         -- where the value stands in the record, or in the entry
    kind      text NOT NULL,
    declared  boolean NOT NULL DEFAULT false,          -- by the manifest
    place     integer NOT NULL,                        -- columns are appended and never move
    PRIMARY KEY (stream_id, relation, name)
);

-- Streams whose records are kept parsed, and how far: every change below `position` is in the table. One that is being
-- filled isn't active yet; the view goes on with the one before it.
CREATE TABLE view_stores (
    table_name   text PRIMARY KEY,                     -- in the schema `headrace_store`
    stream_id    bigint NOT NULL,
    bucket       smallint NOT NULL,
    active       boolean NOT NULL DEFAULT false,
    signature    text NOT NULL,                        -- of the columns that it has
    position     xid8 NOT NULL,
    system_id    text NOT NULL,                        -- of the cluster that counted the position
    built_to     text NOT NULL DEFAULT '',             -- the key up to which it was filled
    refreshed_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX view_stores_active ON view_stores (stream_id) WHERE active;
CREATE INDEX view_stores_stream ON view_stores (stream_id);

-- Unified models. Streams with the same mapping share one branch of a view, so ten thousand connections don't make ten
-- thousand branches.
CREATE TABLE model_mappings (
    mapping text PRIMARY KEY,                          -- a digest of what follows
    model   text NOT NULL,
    branch  text,                                      -- the SELECT; NULL: there are lines only
    lines   text                                       -- and that of the lines, where the model has them
);
CREATE TABLE model_streams (
    model         text NOT NULL,
    stream_id     bigint NOT NULL,
    connection_id bigint NOT NULL,
    bucket        smallint NOT NULL,
    mapping       text NOT NULL REFERENCES model_mappings (mapping),
    PRIMARY KEY (model, stream_id)
);
CREATE INDEX model_streams_mapping ON model_streams (mapping);

-- Values. A view never raises: what doesn't read as its type is NULL. Made at once (`RETURN`), so that nobody's search
-- path decides what they call. A record that isn't an object, or whose text Postgres can't hold, has no fields.
CREATE FUNCTION headrace_fields(raw json) RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN json_typeof(raw) = 'object' AND (strpos(raw::text, '\u') = 0 OR pg_input_is_valid(raw::text, 'jsonb'))
            THEN raw END;
CREATE FUNCTION headrace_entries(list json) RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN json_typeof(list) = 'array' THEN list ELSE '[]' END;
CREATE FUNCTION headrace_numeric(t text) RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN t ~ '^[-+]?[0-9.]' AND pg_input_is_valid(t, 'numeric') THEN t::numeric END;
CREATE FUNCTION headrace_bigint(t text) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN pg_input_is_valid(t, 'bigint') THEN t::bigint END;
CREATE FUNCTION headrace_boolean(t text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN pg_input_is_valid(t, 'boolean') THEN t::boolean END;
-- Only ISO 8601 is a time, whatever the session's DateStyle; without an offset it is of the zone, whatever the session's.
CREATE FUNCTION headrace_time(t text, zone text DEFAULT 'UTC') RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN t !~ '^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?( ?([Zz]|[-+]\d\d(:?\d\d)?))?)?$'
                 OR NOT pg_input_is_valid(t, 'timestamptz') THEN NULL
            WHEN t ~ '\d:\d.*[-+Zz]' THEN t::timestamptz
            ELSE t::timestamp AT TIME ZONE zone END;
CREATE FUNCTION headrace_date(t text) RETURNS date LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN t ~ '^\d{4}-\d\d-\d\d([T ]|$)' AND pg_input_is_valid(left(t, 10), 'date') THEN left(t, 10)::date END;
CREATE FUNCTION headrace_epoch(t text, per_second numeric) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN abs(headrace_numeric(t) / per_second) < 200000000000
            THEN to_timestamp((headrace_numeric(t) / per_second)::float8) END;
-- What Tryton writes as {"__class__": "datetime", …}, "date" and "Decimal".
CREATE FUNCTION headrace_typed_time(j json) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN headrace_time(lpad(j ->> 'year', 4, '0') || '-' || lpad(j ->> 'month', 2, '0') || '-' || lpad(j ->> 'day', 2, '0')
                     || 'T' || lpad(coalesce(j ->> 'hour', '0'), 2, '0') || ':' || lpad(coalesce(j ->> 'minute', '0'), 2, '0')
                     || ':' || lpad(coalesce(j ->> 'second', '0'), 2, '0')
                     || '.' || lpad(coalesce(j ->> 'microsecond', '0'), 6, '0'));
CREATE FUNCTION headrace_typed_date(j json) RETURNS date LANGUAGE sql STABLE PARALLEL SAFE
RETURN headrace_date(lpad(j ->> 'year', 4, '0') || '-' || lpad(j ->> 'month', 2, '0') || '-' || lpad(j ->> 'day', 2, '0'));
CREATE FUNCTION headrace_typed_decimal(j json) RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE
RETURN headrace_numeric(coalesce(j ->> 'decimal', j #>> '{}'));

-- Which cluster and database counts positions? A dump that was restored goes on with other numbers; a failover doesn't.
-- Without an exception block, which no parallel worker may have.
CREATE FUNCTION headrace_counter() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    system text := '-';
BEGIN
    IF has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN
        SELECT system_identifier::text INTO system FROM pg_control_system();
    END IF;
    RETURN concat_ws('/', system, (SELECT oid FROM pg_database WHERE datname = current_database()),
                     'public.view_stores'::regclass::oid);
END
$$;

-- What changed since a store was refreshed: usually little. As a function, because only so does the planner know that it is
-- little. A position that another cluster counted (a dump was restored) means nothing here: then all of it has changed.
CREATE FUNCTION headrace_changed_keys(stream bigint) RETURNS SETOF text
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 200 COST 10000 SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    store view_stores;
BEGIN
    SELECT * INTO store FROM view_stores v WHERE v.stream_id = stream AND v.active;
    IF store.stream_id IS NULL THEN
        RETURN;
    END IF;
    IF store.system_id <> headrace_counter() THEN
        RETURN QUERY EXECUTE format('SELECT key FROM records_%s WHERE bucket = %s AND stream_id = %s',
                                    lpad(store.bucket::text, 2, '0'), store.bucket, stream);
    ELSE
        RETURN QUERY EXECUTE format('SELECT key FROM records_%s WHERE bucket = %s AND stream_id = %s AND change_xid >= %L',
                                    lpad(store.bucket::text, 2, '0'), store.bucket, stream, store.position);
    END IF;
END
$$;

-- A record that is deleted or erased leaves the stores in the same transaction. The lock keeps a refresh, which may have
-- read it before, from bringing it back.
CREATE FUNCTION headrace_unstore() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    store text;
BEGIN
    FOR store IN SELECT table_name FROM view_stores v WHERE v.stream_id = OLD.stream_id FOR SHARE LOOP
        EXECUTE format('DELETE FROM headrace_store.%I WHERE _key = $1', store) USING OLD.key;
    END LOOP;
    RETURN OLD;
END
$$;
CREATE TRIGGER records_unstored BEFORE DELETE ON records FOR EACH ROW EXECUTE FUNCTION headrace_unstore();
CREATE TRIGGER records_erased AFTER UPDATE OF delete_reason ON records
   FOR EACH ROW WHEN (NEW.delete_reason = 'erased') EXECUTE FUNCTION headrace_unstore();

-- Who may read the views and nothing else. Where we may not make roles, `headrace views --reader` says what to run.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'headrace_reader')
       AND (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
        BEGIN
            CREATE ROLE headrace_reader NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- somebody else just did
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'headrace_reader') THEN
        GRANT USAGE ON SCHEMA data, models TO headrace_reader;
        ALTER DEFAULT PRIVILEGES IN SCHEMA data, models GRANT SELECT ON TABLES TO headrace_reader;
    END IF;
END
$$;
