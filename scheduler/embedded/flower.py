"""Where is Flower, and what does it ask for? For whoever runs it, and for the API, which shows it behind its own login."""

USER = "headrace"
PASSWORD_FILE = "flower-password"  # noqa: S105 - a file's name
PREFIX = "flower"
"""The first part of its paths: the same behind the API as on its own port."""
