"""How much of a day's or month's quota may this account still use? The part of the budget that outlives Valkey.

Quotas, and windows of ten minutes and more, are counted in Postgres, in blocks: whoever finds the block in Valkey used up
fetches the next, and all workers hand it out request by request. So no request costs a commit, a crash of anything loses
at most the rest of a block, and the quota is never exceeded.

A block of a window may be used until the next one is fetched: it has left the window when one after the next was fetched a
whole window ago. That costs 2 of 200 blocks.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import HeadraceError
from worker.limits.policy import SECOND, Rule

LONG_WINDOW = 600.0
FEWEST_IN_BLOCKS = 20
"""Of a window for fewer, two blocks would be too much to lose; a Valkey that forgets makes them wait."""
BLOCKS = 200
MOST_IN_A_BLOCK = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Block:
    """Part of a quota, to be used in its period. Empty: nothing is left before `closed_until`."""

    amount: int
    period: int
    """When the period ends, in microseconds; 0: a sliding window."""
    closed_until: int
    used: int
    """How much of the quota has been handed out, this block included."""


class Quotas(Protocol):
    """Where quotas are counted for good."""

    def fetch(self, scope: str, rule: Rule, *, now: int, cost: int, ahead: int) -> Block: ...
    def first_ever(self) -> bool: ...


def counted_for_good(rule: Rule) -> bool:
    """Whether Valkey alone must not be trusted with it."""
    long = rule.per >= LONG_WINDOW and rule.requests is not None and rule.requests >= FEWEST_IN_BLOCKS
    return rule.quota is not None or long


def period_of(rule: Rule, now: int) -> tuple[int, int]:
    """When the quota's current day or month began and ends, in microseconds."""
    zone, at = ZoneInfo(rule.timezone), time.fromisoformat(rule.resets)
    local = (EPOCH + timedelta(microseconds=now)).astimezone(zone)
    day = local.date() if rule.period == "day" else local.date().replace(day=1)
    step = timedelta(days=1) if rule.period == "day" else timedelta(days=32)
    if _micros(datetime.combine(day, at, zone)) > now:
        day -= timedelta(days=1)
        day = day if rule.period == "day" else day.replace(day=1)
    after = day + step
    after = after if rule.period == "day" else after.replace(day=1)
    return _micros(datetime.combine(day, at, zone)), _micros(datetime.combine(after, at, zone))


def block_of(rule: Rule, cost: int) -> int:
    """How much is fetched at a time: little enough to lose."""
    whole = rule.quota or rule.requests or 1
    return max(cost, min(MOST_IN_A_BLOCK if rule.quota else whole, whole // BLOCKS), 1)


def name_of(rule: Rule) -> str:
    """The rule's name in the table: a changed quota goes on with what was used, another period or window begins anew."""
    return (
        f"{rule.period} {rule.resets} {rule.timezone}" if rule.quota else f"{rule.requests} in {rule.per:g}s"
    )


class StoredQuotas:
    """The quotas of all accounts, in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def fetch(self, scope: str, rule: Rule, *, now: int, cost: int, ahead: int) -> Block:
        """The next block. `ahead`: how far grants are reserved, in microseconds."""
        if rule.quota is None:
            return self._fetch_of_window(scope, rule, now=now, cost=cost, ahead=ahead)
        began, ends = period_of(rule, now)
        row = self._row(
            sql.fetch_quota,
            {
                "scope": scope,
                "rule": name_of(rule),
                "period": _moment(began),
                "block": block_of(rule, cost),
                "quota": rule.quota,
            },
        )
        lent = row["lent"]
        return Block(lent, ends, ends if lent < cost else 0, row["used"])

    def first_ever(self) -> bool:
        """Whether no Valkey was ever met before with this database; asked, it remembers that there is one now.

        Where Postgres can't say, there was: what a Valkey without a mark may have forgotten must be assumed.
        """
        try:
            return self._database.run(sql.meet_valkey) == 1
        except HeadraceError:
            return False

    def _fetch_of_window(self, scope: str, rule: Rule, *, now: int, cost: int, ahead: int) -> Block:
        block = block_of(rule, cost)
        row = self._row(
            sql.fetch_window,
            {
                "scope": scope,
                "rule": name_of(rule),
                "block": block,
                "blocks": max(2, (rule.requests or 1) // block),
                "seconds": rule.per + ahead / SECOND + 0.25,
            },
        )
        wait = int(row["wait"] * SECOND)
        return Block(row["lent"], 0, 0 if row["lent"] else now + max(wait, SECOND // 10), row["used"])

    def _row(self, statement: str, params: dict[str, Any]) -> DictRow:
        row = self._database.one(statement, params)
        if row is None:  # an INSERT that updates on conflict always returns its row
            raise AssertionError(statement)
        return row


def _moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def _micros(moment: datetime) -> int:
    return (moment.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
