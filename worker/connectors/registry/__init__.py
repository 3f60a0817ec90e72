"""The systems that a process knows: where they are found, in which version each is, and which one a connection is pinned to."""

from worker.connectors.registry.edition import Edition, Kept
from worker.connectors.registry.places import Problem
from worker.connectors.registry.registry import Registry, Shelf
from worker.connectors.registry.watching import Watching

__all__ = ["Edition", "Kept", "Problem", "Registry", "Shelf", "Watching"]
