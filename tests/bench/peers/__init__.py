"""Other people's tools to compare with, each in an environment of its own: `python(name)` is its interpreter."""

from tests.bench.peers.environments import NotInstalled, python

__all__ = ["NotInstalled", "python"]
