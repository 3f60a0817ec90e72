"""A Postgres of Headrace's own."""
