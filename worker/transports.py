"""By which ways besides HTTP do the requests of this process go? One carrier for each, made here and nowhere else."""

from collections.abc import Mapping

from worker.http.carrier import Carrier


def carriers() -> Mapping[str, Carrier]:
    """By the transports of sources. They open nothing before the first request."""
    return {}
