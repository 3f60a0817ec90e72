"""A worker process for the budget's tests: carries out one JSON command per line of stdin, answers each with a line."""

import json
import sys
from contextlib import ExitStack
from datetime import datetime
from time import monotonic
from typing import Any

from worker.errors import RateLimited
from worker.limits.budget import Budgets
from worker.limits.policy import Limits

KEPT = ExitStack()


def _take(budgets: Budgets, account: str, limits: Limits) -> str | None:
    try:
        with budgets.permit(account, limits) as permit:
            return permit.at.isoformat()
    except RateLimited:
        return None


def _hammer(budgets: Budgets, account: str, limits: Limits, seconds: float) -> list[str]:
    end, grants = monotonic() + seconds, []
    while monotonic() < end:
        if (at := _take(budgets, account, limits)) is not None:
            grants.append(at)
    return grants


def _answer(budgets: Budgets, command: dict[str, Any]) -> Any:
    account, limits = command["account"], Limits(**command.get("limits", {}))
    match command["do"]:
        case "take":
            return _take(budgets, account, limits)
        case "hammer":
            return _hammer(budgets, account, limits, command["seconds"])
        case "keep":
            KEPT.enter_context(budgets.permit(account, limits))
            return "kept"
        case "hold":
            until: datetime = budgets.hold(account, command["seconds"], command["reason"])
            return until.isoformat()
        case other:
            raise ValueError(other)


def main(url: str, short_wait: str, slot_lease: str) -> None:
    budgets = Budgets(url, short_wait=float(short_wait), slot_lease=float(slot_lease))
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(budgets, json.loads(line))) + "\n")
        sys.stdout.flush()


main(*sys.argv[1:])
