"""The change feed: its epoch, who reads it from where, and what goes out."""
