-- When an API was there to hear webhooks: a row for each of its processes, kept fresh while it lives.
CREATE TABLE webhook_listeners (
    id        uuid PRIMARY KEY,                        -- of the process
    opened_at timestamptz NOT NULL DEFAULT now(),
    seen_at   timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz                              -- it left in order; else it was there until shortly after it was seen
);
CREATE INDEX webhook_listeners_seen ON webhook_listeners (seen_at);

ALTER TABLE webhook_counts
    ADD COLUMN unheard bigint NOT NULL DEFAULT 0;      -- changes of the poll of which a webhook may have found nobody to hear it
