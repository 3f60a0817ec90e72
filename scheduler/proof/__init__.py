"""Is the copy right? Comparisons, deletes that are held, what was set aside, fields that changed, and why a record is as it is."""
