"""How is a system asked for some of its records, where it takes conditions instead of parameters?

One mechanism for OData's $filter, oslc.where, SQL in a body, Frappe's JSON in a parameter, and the domains of Odoo:

    conditions: {param: "$filter", join: " and "}
    where: ["status ne 'void'"]
    incremental: {field: changed, since: "changed ge {value}", until: "changed le {value}"}

Conditions are texts that are joined, or values of JSON that make a list. What a condition holds of foreign values is
quoted, so that none can say more than itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from worker.connectors.manifest.templates import as_text
from worker.connectors.requests.draft import Placed, Where
from worker.connectors.requests.templates import NAME, fill_json, fill_text

_ONE_WORD = re.compile(r"[^\s'\"()&|;,<>=!]+")
"""Nothing that ends a value, or begins another condition."""

Condition = str | list[Any] | Mapping[str, Any]
"""A text; JSON; or `{text, values}`: a text with marks, and what stands in their places."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Where conditions go, and how several become one."""

    param: str
    where: Where = "query"
    join: str | None = None
    """What stands between two texts; None: they are JSON and make a list."""
    splice: bool = False
    """Each is a list whose elements are elements of the whole."""
    json: bool = False
    """The list is written as JSON into a parameter."""
    template: str | None = None
    """The text around them, with {conditions}."""
    none: str | None = None
    """What is said where there are none."""
    quote: str = "'"
    """The mark that stands around texts, which is doubled inside of one; empty where the system knows none."""
    values: str | None = None
    """In the body: where the values of `{text, values}` go."""

    def filled(self, condition: Condition, values: Mapping[str, Any]) -> Condition:
        """The condition about these values."""
        if isinstance(condition, str):
            return fill_text(condition, values, self.quote)
        if self.join is not None and isinstance(condition, Mapping):
            found: Condition = {"text": condition["text"], "values": fill_json(condition["values"], values)}
            return found
        filled: Condition = fill_json(condition, values)
        return filled

    def says_more(self, condition: Condition, values: Mapping[str, Any]) -> str | None:
        """The first of the values that would be more there than one value: in a text without marks around it, or one that
        would end its condition where the system knows no marks.
        """
        if self.join is None or not isinstance(condition, str):
            return None
        for match in NAME.finditer(condition):
            if match[1] in values and self._breaks_out(text := as_text(values[match[1]]), condition, match):
                return text
        return None

    def _breaks_out(self, text: str, condition: str, match: re.Match[str]) -> bool:
        if not self.quote:
            return bool(self.join) and str(self.join) in text
        bare = condition.count(self.quote, 0, match.start()) % 2 == 0
        return bare and not _ONE_WORD.fullmatch(text)

    def placed(self, conditions: Sequence[Condition]) -> Placed:
        """All of them in their place."""
        if self.join is None:
            return self._listed(conditions)
        texts = [one["text"] if isinstance(one, Mapping) else str(one) for one in conditions]
        told = [value for one in conditions if isinstance(one, Mapping) for value in one["values"]]
        joined = self.join.join(
            f"({text})" if len(texts) > 1 and self._is_joined(text) else text for text in texts
        )
        if not texts:
            if self.none is None:
                return Placed(self.where, [])
            joined = self.none
        said = joined if self.template is None else self.template.replace("{conditions}", joined)
        return Placed(self.where, [(self.param, said), *([(self.values, told)] if self.values else [])])

    def _listed(self, conditions: Sequence[Condition]) -> Placed:
        every: list[Any] = []
        for one in conditions:
            every += one if self.splice and isinstance(one, list) else [one]
        if not every and self.where == "query":
            return Placed(self.where, [])
        return Placed(self.where, [(self.param, msgspec.json.encode(every).decode() if self.json else every)])

    def _is_joined(self, text: str) -> bool:
        """It holds an alternative, which must not run into its neighbours."""
        return " or " in text.lower()
