"""Earlier versions of records, and what was erased."""
