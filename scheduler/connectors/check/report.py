"""What a connector's author reads, and what the README of a system holds: the outcomes, put together by check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.connectors.check.outcome import Mark, Outcome

BEGIN, END = "<!-- conformance -->", "<!-- /conformance -->"
MARKS: Mapping[Mark, str] = {"passed": "kept", "failed": "BROKEN", "not applicable": "-"}
AGAINST: Mapping[str, str] = {
    "double": "a double built from documentation; never a trial on a live system",
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
        return "failed" if "failed" in marks else "passed" if "passed" in marks else "not applicable"

    @property
    def broken(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.mark == "failed"]

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

    @property
    def kept(self) -> bool:
        """No promise is broken."""
        return not any(row.mark == "failed" for row in self.rows)

    @property
    def summary(self) -> str:
        """In one sentence."""
        broken = [row.check for row in self.rows if row.mark == "failed"]
        kept = sum(row.mark == "passed" for row in self.rows)
        silent = sum(row.mark == "not applicable" for row in self.rows)
        rest = f"; {silent} say nothing here" if silent else ""
        if broken:
            return (
                f"{self.title}: {len(broken)} of {len(self.rows)} promises are broken: {', '.join(broken)}."
            )
        return f"{self.title}: {kept} promises are kept{rest}."

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
            f"`headrace connector check` ran against {AGAINST[self.against]}. Tried on: {_tried(self.tried)}.",
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
    return f"**broken** ({', '.join(streams)})" if row.mark == "failed" else "kept"


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
