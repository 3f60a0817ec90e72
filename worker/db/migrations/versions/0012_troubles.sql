ALTER TABLE processes
    ADD COLUMN troubles jsonb NOT NULL DEFAULT '[]'    -- what only the process itself sees: a secret store that is away, for it
        CHECK (jsonb_typeof(troubles) = 'array');
