"""Keeps the parts of a running Headrace alive, and leaves none behind."""
