"""The commands that set connections up: `connect`, `test`, and links for customers."""
