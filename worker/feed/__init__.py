"""The change feed: every change of the copy has one place in it, and who remembers a place misses none."""
