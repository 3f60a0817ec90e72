"""What of the limits outlives Valkey: quotas and long windows, counted in Postgres in blocks."""
