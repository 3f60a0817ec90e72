"""What is held until a person decides, and in which words is it said? Kept on the stream's row, as JSON."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from worker.engine.deletes.judge import may_pass
from worker.runs.claim import Run


@dataclass(frozen=True, slots=True)
class Held:
    """Too many at once."""

    count: int
    records: int
    """That the copy holds."""
    limit: float
    words: str

    @classmethod
    def of(cls, run: Run, count: int, records: int, limit: float, why: str) -> Self:
        """`why`: what is odd about the sweep beside the number of those it missed."""
        share = f"{count / records:.1%}".replace("%", " %") if records else "all"
        passed = f"{limit:.4g}" if limit == 0 else f"{limit:.1%}".replace(".0%", "%").replace("%", " %")
        words = (
            f"{count:,} of {records:,} records ({share}) are missing at the system, and {may_pass(records, limit):,} may go "
            f"without asking (delete_limit {passed}). {why + ' ' if why else ''}Nothing was deleted: look at them with "
            f"`headrace deletes {run.connection} {run.stream} --review`, then --accept or --reject."
        )
        return cls(count, records, limit, words)

    def as_json(self, run: Run, number: int, at: datetime) -> dict[str, Any]:
        """As `streams.fuse` keeps it. `number` is the sweep's, and names what is held by it."""
        return {
            "number": number,
            "run": str(run.id),
            "at": at.isoformat(),
            "count": self.count,
            "records": self.records,
            "limit": self.limit,
            "words": self.words,
        }
