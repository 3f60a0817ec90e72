"""Who waits for something to happen, holding neither a thread nor a connection to Postgres."""
