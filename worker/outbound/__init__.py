"""Outbound events: who subscribed is told of changes, signed, at least once, in order per record."""
