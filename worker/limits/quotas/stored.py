"""How do workers share what outlives Valkey? Blocks of quotas and long windows, handed out by Postgres.

A row per scope and rule, whose lock makes any number of workers take turns.
"""

from datetime import datetime, timedelta

from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import HeadraceError
from worker.limits.policy import SECOND, Rule
from worker.limits.quotas.lending import Lent, lend
from worker.limits.quotas.quota import BLOCK_LIFE, EPOCH, Block, block_of, name_of, period_of


class StoredQuotas:
    """The quotas of all accounts, in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def fetch(self, scope: str, rule: Rule, *, now: int, cost: int, ahead: int, alone: bool = False) -> Block:
        """The next block. `ahead`: how far grants are reserved, in microseconds.

        `alone`: of no more than the cost, as nobody could hand out the rest.
        """
        if rule.quota is None:
            return self._fetch_of_window(scope, rule, now=now, cost=cost, ahead=ahead, alone=alone)
        began, ends = period_of(rule, now)
        params = {
            "scope": scope,
            "rule": name_of(rule),
            "period": EPOCH + timedelta(microseconds=began),
            "block": cost if alone else block_of(rule, cost),
            "quota": rule.quota,
        }
        row = _certain(self._database.one(sql.fetch_quota, params))
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

    def _fetch_of_window(
        self, scope: str, rule: Rule, *, now: int, cost: int, ahead: int, alone: bool
    ) -> Block:
        lent = self._lent(scope, rule, cost=cost, ahead=ahead, alone=alone)
        void_at = now + int(rule.per * BLOCK_LIFE * SECOND)
        if not lent.amount:
            return Block(0, -cost, now + int(lent.wait * SECOND), 0, void_at)
        return Block(lent.amount, 0, 0, 0, void_at)

    def _lent(self, scope: str, rule: Rule, *, cost: int, ahead: int, alone: bool) -> Lent:
        key = {"scope": scope, "rule": name_of(rule)}
        with self._database.transaction() as connection:
            row = _certain(connection.execute(sql.lock_window, key).fetchone())
            times: list[datetime] = row["fetched"]
            lent = lend(
                rule,
                [time.timestamp() for time in times],
                row["used"],
                now=row["now"].timestamp(),
                cost=cost,
                ahead=ahead / SECOND,
                alone=alone,
            )
            fetched = [EPOCH + timedelta(seconds=time) for time in lent.fetched]
            connection.execute(
                sql.lend_window, key | {"fetched": fetched, "left": lent.left, "lent": lent.amount}
            )
        return lent


def _certain(row: DictRow | None) -> DictRow:
    if row is None:  # an INSERT that updates on conflict always returns its row
        raise AssertionError
    return row
