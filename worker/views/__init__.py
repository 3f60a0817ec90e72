"""SQL views for people: a table for every stream, and the unified models across all of them."""
