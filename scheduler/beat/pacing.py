"""How many runs of one account are sent for, before its limit has said anything?

A limit is met by being refused, and a refusal costs a claim, a question and a giving back. Of a system whose rate the
manifest knows, no more are sent at a time than it may begin in the next seconds: the others stay in the ledger, whose
order can still change, and cost their neighbours nothing. What a system keeps to without saying so is learned by refusals.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.connectors.contract import Connector
from worker.limits.policy import Limits
from worker.runs.claim import LINE
from worker.runs.states import queues_of

AHEAD = 2.0
"""Seconds' worth of an account's rate that may be on its way to workers: beat looks again several times meanwhile."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """For queues of systems with a known rate: how many messages one account may have there. Others aren't in it."""

    queues: list[str] = field(default_factory=list)
    most: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, connectors: Iterable[Connector]) -> "Pacing":
        found = {
            queue: most
            for connector in connectors
            if (most := sent_at_once(connector.limits)) is not None
            for queue in queues_of(connector.system)
        }
        return cls(list(found), list(found.values()))


def sent_at_once(limits: Limits) -> int | None:
    """How many runs of an account may be under way to workers at a time; None: its rate isn't known.

    Goes by limits of all its requests, as a run may make any. A run is at least one request.
    """
    rates = [
        rule.burst + AHEAD * rule.requests / rule.per
        for rule in limits.all_rules()
        if rule.requests is not None and rule.selects == ("account", (), (), ())
    ]
    return max(LINE, int(min(rates))) if rates else None
