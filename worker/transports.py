"""By which ways besides HTTP do the requests of this process go? One carrier for each, made here and nowhere else."""

from collections.abc import Mapping

from worker.config import Settings
from worker.http.carrier import Carrier
from worker.sql.carrier import SqlCarrier
from worker.taps.carrier import TapCarrier
from worker.taps.house import House


def carriers(settings: Settings) -> Mapping[str, Carrier]:
    """By the transports of sources. They open nothing before the first request."""
    return {"sql": SqlCarrier(), "tap": TapCarrier(House.of(settings))}
