-- The versions of manifests: which one a connection is read by, and what each says when its file is gone.

CREATE TABLE manifests (
    system   text NOT NULL,
    version  text NOT NULL,                   -- 1.2.0; of a folder that people edit with the digest: 1.2.0+3fa9c1d2
    digest   text NOT NULL,
    body     jsonb NOT NULL,                  -- the texts of its files, by their names
    seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system, version)
);

ALTER TABLE connections
    ADD COLUMN manifest_version text,         -- NULL: whichever is current; beat pins it
    ADD COLUMN manifest_before  jsonb;        -- where `headrace connectors downgrade` goes: {"version", "off": [streams]}

-- What has to be done to the records of a stream before it is read by another version: {"at", "keys", "versions"}.
ALTER TABLE streams ADD COLUMN refit jsonb;

-- A record that is called by another key from now on is gone under its old one.
ALTER TABLE records
    DROP CONSTRAINT records_delete_reason_check,
    ADD CONSTRAINT records_delete_reason_check
        CHECK (delete_reason IN ('flag', 'tombstone', 'delta', 'not_found', 'sweep', 'erased', 'rekeyed')) NOT VALID;
