"""What does this answer mean? All that a manifest says of errors, asked of each answer: the first rule that holds, then its
status. Pure.

An answer that is fine by its status is looked at only where a rule may mean it: a manifest without such rules costs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.connectors.answers import failure_of_status, words_of
from worker.connectors.contract import Response
from worker.connectors.reading.seeking import Body
from worker.connectors.reading.shape import FieldPath
from worker.connectors.refusals.rule import Rule
from worker.errors import HeadraceError


@dataclass(frozen=True, slots=True)
class Refusals:
    """How one system says no."""

    words: tuple[FieldPath, ...] = ()
    """Where its own words stand."""
    status: Mapping[int, str] | None = None
    """Statuses that mean something else than usual."""
    rules: tuple[Rule, ...] = ()
    of_success: tuple[Rule, ...] = ()
    """Those among them that may mean an answer whose status says that all is well."""

    @classmethod
    def of(
        cls,
        words: tuple[FieldPath, ...] = (),
        status: Mapping[int, str] | None = None,
        rules: tuple[Rule, ...] = (),
    ) -> "Refusals":
        of_success = tuple(rule for rule in rules if any(map(rule.may_mean, range(200, 300))))
        return cls(words, status or {}, rules, of_success)

    def failure(self, response: Response) -> HeadraceError | None:
        """What it says, if it says no."""
        status = response.status
        fine = 200 <= status < 300
        rules = self.of_success if fine else self.rules
        if rules and (found := self._by_rule(response, rules)) is not None:
            return found
        overrides = self.status or {}
        if fine and status not in overrides:
            return None
        return failure_of_status(status, words_of(response, self.words), overrides=overrides)

    def _by_rule(self, response: Response, rules: tuple[Rule, ...]) -> HeadraceError | None:
        body = Body(response.body)
        for rule in rules:
            if (found := rule.failure(response, body, self.words)) is not None:
                return found
        return None


def throttled_rule(found: Mapping[str, Any]) -> Rule:
    """The short way to say that somebody asks too often."""
    options = {key: found[key] for key in ("path", "wait", "unit") if key in found}
    return Rule.read({**options, "kind": "rate_limited", "equals": found["values"]})
