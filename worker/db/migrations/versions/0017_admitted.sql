ALTER TABLE runs
    ADD COLUMN admitted_at timestamptz;    -- where so many runs of a connection may work at a time: this claim is one of them
