"""The only place where a secret is opened. Everywhere else there are references, which are safe to store and show."""

from worker.secrets.reference import Reference, open_secret, parse_reference

__all__ = ["Reference", "open_secret", "parse_reference"]
