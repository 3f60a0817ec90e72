"""How is an upgrade told, before and after: a few sentences for each connection, or JSON for programs?"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scheduler.cli.forecasts import forecast_json, in_words
from worker.errors import HeadraceError

if TYPE_CHECKING:
    from scheduler.connections.upgrading.plan import Planned


@dataclass(slots=True)
class Result:
    """What became of each connection."""

    planned: list["Planned"] = field(default_factory=list)
    failed: list[tuple[str, HeadraceError]] = field(default_factory=list)


def lines_of(result: Result, *, done: bool) -> Iterator[str]:
    """What a person reads. `done`: it has been carried out."""
    failed = {name for name, _ in result.failed}
    for each in result.planned:
        step = each.step
        if step.row.name in failed:
            continue
        if not step.changes:
            yield f"{step.row.name}: it is in version {step.before} already."
            continue
        if step.refused is not None:
            yield f"{step.row.name}: from {step.before} to {step.target.version} it can't go. {step.refused}"
        else:
            yield f"{step.row.name}: {'went' if done else 'would go'} from {step.before} to {step.target.version}."
        yield from _of_the_step(each)
    for name, error in result.failed:
        yield f"{name}: {error}"
    if not done and any(each.step.changes for each in result.planned):
        yield "Nothing was changed yet."


def _of_the_step(each: "Planned") -> Iterator[str]:
    told = each.step.difference
    for words in told.words:
        yield f"  {words}"
    for change in told.streams:
        for words in change.words:
            yield f"  {change.stream}: {words}"
        if (expected := each.costs.get(change.stream)) is not None:
            held = each.held.get(change.stream, 0)
            yield f"  {change.stream}: {held:,} records are in the copy; reading again is {in_words(expected)}."
    for what, names in (("setting", told.needless_settings), ("secret", told.needless_secrets)):
        for name in names:
            yield f"  The {what} {name} isn't known any more, and goes from the connection."
    if not (told.words or told.streams or told.needless_settings or told.needless_secrets):
        yield "  Nothing is different that a connection would notice."


def result_json(result: Result, *, done: bool) -> dict[str, Any]:
    """The same for programs."""
    failed = dict(result.failed)
    return {
        "changed": done,
        "connections": [
            {
                **each.step.as_json(),
                "done": done
                and each.step.changes
                and each.step.refused is None
                and each.step.row.name not in failed,
                "cost": {
                    name: {"held": each.held.get(name, 0), **forecast_json(cost)}
                    for name, cost in each.costs.items()
                },
            }
            for each in result.planned
        ],
        "failed": [{"connection": name, "code": e.code, "words": str(e)} for name, e in result.failed],
    }
