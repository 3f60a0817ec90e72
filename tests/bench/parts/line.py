"""What is one result of the benchmark? A figure of ours beside a baseline's that was measured in the same run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isnan
from statistics import median


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. `met` is None where there is no target, or where a short run says too little about it."""

    figure: str
    ours: float
    baseline: float
    unit: str
    target: str
    met: bool | None
    note: str = ""
    """Who the baseline is, and what else a reader must know."""
    ours_all: tuple[float, ...] = field(default=())
    """Every repetition, where there were several: the spread."""
    baseline_all: tuple[float, ...] = field(default=())

    @property
    def ratio(self) -> float:
        """Ours in baselines. Nothing measured is no ratio."""
        return self.ours / self.baseline if self.baseline else float("nan")

    @property
    def verdict(self) -> str:
        return {True: "met", False: "MISSED", None: "-"}[self.met]

    def __str__(self) -> str:
        return " | ".join(
            [
                self.figure,
                shown(self.ours, self.unit, self.ours_all),
                shown(self.baseline, self.unit, self.baseline_all) if self.baseline else "-",
                "-" if isnan(self.ratio) else f"{self.ratio:.2f}",
                self.target or "-",
                self.verdict,
                *([self.note] if self.note else []),
            ]
        )


def compared(
    figure: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    unit: str,
    *,
    target: str = "",
    holds: Callable[[float], bool] | None = None,
    note: str = "",
) -> Line:
    """The line of several repetitions, interleaved with the baseline's. `holds` is asked with the ratio of the medians."""
    mine, theirs = median(ours), median(baseline) if baseline else 0.0
    met = holds(mine / theirs) if holds is not None and theirs else None
    return Line(figure, mine, theirs, unit, target, met, note, tuple(ours), tuple(baseline))


def shown(value: float, unit: str, spread: tuple[float, ...] = ()) -> str:
    """A value as people read it, with the least and the most where there were several."""
    text = f"{_digits(value)} {unit}".rstrip()
    if len(spread) > 1:
        text += f" ({_digits(min(spread))}-{_digits(max(spread))})"
    return text


def _digits(value: float) -> str:
    if isnan(value):  # there is no such figure
        return "-"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"
