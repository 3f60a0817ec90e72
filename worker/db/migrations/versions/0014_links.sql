ALTER TABLE connect_links
    ADD COLUMN network jsonb NOT NULL DEFAULT '{}';    -- of the connection that the link makes
