"""What a connector's author reads, and what the README of a system holds: the outcomes, put together by check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.connectors.check.outcome import Mark, Outcome
from worker.parsing.wording import counted

BEGIN, END = "<!-- conformance -->", "<!-- /conformance -->"
MARKS: Mapping[Mark, str] = {
    "passed": "kept",
    "failed": "BROKEN",
    "not applicable": "-",
    "faulty": "DOUBLE FAILED",
}
WORST: Sequence[Mark] = ("failed", "faulty", "passed", "not applicable")
AGAINST: Mapping[str, str] = {
    "double": "a double built from documentation",
    "manifest": "the manifest and what was recorded; nothing answered",
    "live": "a live account, reading only",
}


@dataclass(frozen=True)
class Row:
    """One check over the streams that it was tried with."""

    check: str
    sentence: str
    outcomes: Sequence[Outcome]

    @property
    def mark(self) -> Mark:
        """The worst of them."""
        marks = {each.mark for each in self.outcomes}
        return next((mark for mark in WORST if mark in marks), "not applicable")

    @property
    def broken(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.mark in {"failed", "faulty"}]

    @property
    def words(self) -> str:
        """What was seen, at the first stream of which there is something to say."""
        telling = [each for each in self.outcomes if each.mark == self.mark]
        return telling[0].words if telling else ""


@dataclass(frozen=True)
class Report:
    """All of it. `against` is what answered."""

    system: str
    title: str
    against: str
    rows: Sequence[Row]
    tried: Sequence[str] = ()
    """On which systems, as the manifest says."""
    player: str = ""
    """What answered, in words, where that is told better than by `against`."""
    is_real: bool = False
    """The system itself answered, on this machine."""

    @property
    def kept(self) -> bool:
        """No promise is broken, and the double let us see."""
        return not any(row.broken for row in self.rows)

    @property
    def faulty(self) -> list[str]:
        """The checks in which the double failed: they say nothing of the connector."""
        return [row.check for row in self.rows if any(each.mark == "faulty" for each in row.outcomes)]

    @property
    def checked_against(self) -> str:
        """What answered; a double is no trial, and where there was none, that is said."""
        never = self.against == "double" and not self.is_real and not self.tried
        untried = "; never a trial on a live system" if never else ""
        return (self.player or AGAINST[self.against]) + untried

    @property
    def summary(self) -> str:
        """In one sentence."""
        broken = [row.check for row in self.rows if row.mark == "failed"]
        kept = sum(row.mark == "passed" for row in self.rows)
        silent = sum(row.mark == "not applicable" for row in self.rows)
        rest = f"; {silent} {'says' if silent == 1 else 'say'} nothing here" if silent else ""
        said = []
        if broken:
            said.append(f"{len(broken)} of {len(self.rows)} promises are broken: {', '.join(broken)}")
        if self.faulty:
            said.append(f"the double itself failed in {', '.join(self.faulty)}")
        if said:
            return f"{self.title}: {'; '.join(said)}."
        return f"{self.title}: {counted(kept, 'promise is', 'promises are')} kept{rest}."

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "system": self.system,
            "against": self.against,
            "tried": list(self.tried),
            "kept": self.kept,
            "summary": self.summary,
            "checks": [
                {
                    "check": row.check,
                    "promise": row.sentence,
                    "mark": row.mark,
                    "outcomes": [outcome.as_json() for outcome in row.outcomes],
                }
                for row in self.rows
            ],
        }

    def cells(self) -> list[tuple[str, str, str, str]]:
        """Of the table on a terminal."""
        return [(row.check, MARKS[row.mark], _streams(row), row.words) for row in self.rows]

    def failures(self) -> list[str]:
        """A paragraph for each broken promise and stream."""
        return [_told(row, outcome) for row in self.rows for outcome in row.broken]

    def markdown(self) -> str:
        """For the README, between its marks. Nothing in it changes from run to run."""
        lines = [
            BEGIN,
            f"`headrace connector check` ran against {self.checked_against}. Tried on: {_tried(self.tried)}.",
            "",
            "| check | promise | |",
            "|---|---|---|",
            *(f"| {row.check} | {row.sentence} | {_cell(row)} |" for row in self.rows),
            END,
        ]
        return "\n".join(lines)


def rows_of(sentences: Mapping[str, str], outcomes: Sequence[Outcome]) -> list[Row]:
    """Put together by check, in the order in which checks first came."""
    by_check: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_check.setdefault(outcome.check, []).append(outcome)
    return [Row(check, sentences[check], found) for check, found in by_check.items()]


def embedded(readme: str, markdown: str) -> str:
    """The README with this report in it, in the place of an older one or at its end."""
    before, begins, rest = readme.partition(BEGIN)
    if not begins:
        return f"{readme.rstrip()}\n\n## Conformance\n\n{markdown}\n"
    return before + markdown + rest.partition(END)[2]


def _tried(tried: Sequence[str]) -> str:
    return ", ".join(tried) or "nothing yet, built from documentation"


def _cell(row: Row) -> str:
    """Reasons don't change from run to run; what was counted does."""
    if row.mark == "not applicable":
        return f"says nothing: {row.words[:1].lower()}{row.words[1:].rstrip('.')}"
    streams = [each.stream for each in row.outcomes if each.mark == row.mark and each.stream]
    told = {"failed": "**broken**", "faulty": "**the double failed**"}.get(row.mark)
    return f"{told} ({', '.join(streams)})" if told else "kept"


def _streams(row: Row) -> str:
    told = [each.stream for each in row.outcomes if each.stream and each.mark == row.mark]
    return ", ".join(told) if len(told) <= 2 else f"{len(told)} streams"


def _told(row: Row, outcome: Outcome) -> str:
    where = f" ({outcome.stream})" if outcome.stream else ""
    lines = [
        f"{row.check}{where}: {row.sentence}",
        f"  expected  {outcome.expected}",
        f"  came      {outcome.came}",
    ]
    if outcome.request:
        lines.append(f"  asked     {outcome.request}")
    return "\n".join(lines)
