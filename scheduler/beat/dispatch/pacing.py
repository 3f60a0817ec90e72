"""How many runs of one account are sent for, before its limit has said anything?

A limit is met by being refused, and a refusal costs a claim, a question and a giving back. Of a system whose rate the
manifest knows, no more are on their way to a first request than it may send while one waits in its slot: the others stay in
the ledger, whose order can still change, and cost their neighbours nothing. What a system keeps to without saying so is learned by refusals.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.connectors.contract import Connector
from worker.limits.policy import Limits, reach
from worker.runs.states import Lane, queues_of

LEAST = 4
ROUND = 0.5
"""Seconds after which beat has looked again for certain."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """For queues of systems with a known rate: how many runs of an account may be on their way. Others aren't in it."""

    queues: list[str] = field(default_factory=list)
    most: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, connectors: Iterable[Connector], *, short_wait: float) -> "Pacing":
        """`short_wait`: for how many seconds at most a run keeps its slot and waits for the limit."""
        seconds = reach(short_wait, Lane.SCHEDULED) + ROUND
        found = {
            queue: most
            for connector in connectors
            if (most := sent_at_once(connector.limits, seconds)) is not None
            for queue in queues_of(connector.system)
        }
        return cls(list(found), list(found.values()))


def sent_at_once(limits: Limits, seconds: float) -> int | None:
    """How many runs of an account may be on their way, to begin within so long; None: its rate isn't known.

    Goes by limits of all its requests, as a run may make any. A run is at least one request.
    """
    rates = [
        rule.burst + seconds * rule.requests / rule.per
        for rule in limits.all_rules()
        if rule.requests is not None and rule.selects == ("account", (), (), ())
    ]
    return max(LEAST, int(min(rates))) if rates else None
