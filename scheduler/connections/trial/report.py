"""What did a test of a connection find? Plain data, and the words for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["ok", "warning", "failed", "skipped"]
MARKS: dict[Outcome, str] = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "-"}

DISCOVERY = "discovery"
NOTHING_ASKED = "It has no streams yet, so its system was asked for nothing."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `settings`, `secret token`, `log-in`, `stream parts`."""

    about: str
    outcome: Outcome
    words: str
    code: str | None = None
    hint: str | None = None
    stream: str | None = None

    @property
    def answered(self) -> bool:
        """Whether it is about something that the system was asked for."""
        return self.stream is not None or self.about == DISCOVERY

    def as_json(self) -> dict[str, Any]:
        """For the API and `--json`."""
        return {
            "about": self.about,
            "outcome": self.outcome,
            "words": self.words,
            "code": self.code,
            "hint": self.hint,
        }

    def line(self) -> str:
        """For people."""
        hint = f" {self.hint}" if self.hint and self.outcome != "ok" else ""
        return f"{MARKS[self.outcome]} {self.about}: {self.words}{hint}"


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order in which they were made."""

    findings: Sequence[Finding]

    @property
    def reached(self) -> bool:
        """It would work: nothing but single streams is refused, and one of them answers, or says what there could be."""
        general = all(each.outcome != "failed" for each in self.findings if each.stream is None)
        return general and any(each.outcome == "ok" for each in self.findings if each.answered)

    @property
    def fine(self) -> bool:
        """Nothing failed at all."""
        return self.reached and all(each.outcome != "failed" for each in self.findings)

    @property
    def found(self) -> list[str]:
        """The streams that may be read."""
        return [each.stream for each in self.findings if each.stream and each.outcome == "ok"]

    @property
    def missing(self) -> list[str]:
        """The streams that may not, or couldn't be tried."""
        return [each.stream for each in self.findings if each.stream and each.outcome != "ok"]

    @property
    def first_failure(self) -> Finding | None:
        """What to mend first."""
        return next((each for each in self.findings if each.outcome == "failed"), None)

    def as_json(self) -> dict[str, Any]:
        """For the API and `--json`."""
        return {
            "reached": self.reached,
            "fine": self.fine,
            "streams_found": self.found,
            "streams_missing": self.missing,
            "findings": [each.as_json() for each in self.findings],
        }

    def summary(self) -> str:
        """In one sentence."""
        if not self.reached:
            asked = all(each.code != "no_streams" for each in self.findings)
            return "It can't be reached as it is set." if asked or self.first_failure else NOTHING_ASKED
        if not self.found and not self.missing:
            return "It can be reached. It has no streams yet."
        if self.missing:
            return f"{len(self.found)} streams can be read; {', '.join(self.missing)} can't."
        return f"All {len(self.found)} streams can be read."
