"""What does a manifest say of errors? The section `errors`, checked for what a schema can't see."""

import re
from collections.abc import Mapping
from typing import Any

from worker.connectors.manifest.streams.paths import paths_of
from worker.connectors.manifest.streams.presets import PRESETS
from worker.connectors.refusals.kinds import RATE_LIMITED, UNNAMED
from worker.connectors.refusals.refusals import Refusals, throttled_rule
from worker.connectors.refusals.rule import Rule
from worker.parsing.documents import Document

_OF_WAITS = ("wait", "header", "unit")


def read_errors(document: Document) -> Refusals:
    """How the system says no; the schema has been checked already."""
    found = document.data.get("errors", {})
    rules = [_rule(document, number, rule) for number, rule in enumerate(found.get("rules", ()))]
    if "throttled" in found:
        rules.insert(0, throttled_rule(found["throttled"]))
    rules += map(Rule.read, PRESETS[document.data["protocol"]].refusals)
    return Refusals.of(
        words=paths_of(found.get("words", ())),
        status={int(status): kind for status, kind in found.get("status", {}).items()},
        rules=tuple(rules),
    )


def _rule(document: Document, number: int, found: Mapping[str, Any]) -> Rule:
    where = ("errors", "rules", number)
    kind = found["kind"]
    if not {"status", "path", "matches"} & found.keys():
        message = "A rule says which answers it means: by status, path or matches."
        raise document.error(where, "missing_key", message)
    if "matches" in found and "path" not in found and "status" not in found:
        message = (
            "matches alone would search the text of every answer: say which by status, or look at a path."
        )
        raise document.error((*where, "matches"), "bad_value", message)
    for key in ("equals", "present"):
        if key in found and "path" not in found:
            message = f"{key} goes with path, which says where it is looked for."
            raise document.error((*where, key), "bad_value", message)
    if "present" in found and {"equals", "matches"} & found.keys():
        message = "present is said by equals and matches already: leave it out."
        raise document.error((*where, "present"), "bad_value", message)
    for key in _OF_WAITS:
        if key in found and kind != RATE_LIMITED:
            message = f"{key} says for how long to wait, which goes with the kind rate_limited, not {kind}."
            raise document.error((*where, key), "bad_value", message)
    if "code" in found and kind in UNNAMED:
        message = f"The kind {kind} has a code of its own; no other can be given."
        raise document.error((*where, "code"), "bad_value", message)
    try:
        return Rule.read(found)
    except re.error as exc:
        message = f"matches is no regular expression: {exc}."
        raise document.error((*where, "matches"), "bad_value", message) from None
