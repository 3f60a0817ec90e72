"""The commands about the change feed, and about who is told of it."""
