"""What does a worker do that was sent for a subscription?

It claims it, and in handfuls: reads what follows the position, sends it side by side, and commits what became of it. A
crash repeats one handful at most, each message with the id that it had. First go records whose time has come to be tried
again. Order per record holds, since a record is in the feed once and handfuls follow each other.
Emits: deliveries_sent, delivery_failed, subscription_rests, subscription_disabled.
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from uuid import uuid4

import structlog
from psycopg.rows import DictRow

from worker.db.database import Database
from worker.db.queries import sql
from worker.errors import HeadraceError, InvalidInput, NeedsOperator
from worker.feed.position import Position, parse_position
from worker.feed.reading import Page, Wanted, look, read_changes
from worker.feed.spaces import given_name, view_in
from worker.outbound.address import read_target
from worker.outbound.message import message_of, open_signers
from worker.outbound.post import Courier
from worker.outbound.retry import Failed, Verdict, judge, record_delay

log = structlog.get_logger()

HANDFUL = 16
LEASE = 60.0
"""Longer than a handful can take."""
TURN = 20.0
"""Then others have their turn; beat sends for this one again."""

Dice = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Sent:
    """A change, and what came of it."""

    change: DictRow
    failed: Failed | None


class Turn:
    """One worker's turn at one subscription."""

    def __init__(self, database: Database, courier: Courier, row: DictRow, *, dice: Dice) -> None:
        self._database = database
        self._courier = courier
        self._row = row
        self._dice = dice
        self._attempt: int = row["attempt"]
        self._failing: float = row["failing"]
        self._position = parse_position(row["position"])
        self._target = read_target(row["url"])
        self._signers = open_signers(row)
        self._log = log.bind(subscription=given_name(row["name"]), host=self._target.place)
        self._request_id = f"deliver-{uuid4()}"
        self._log = self._log.bind(request_id=self._request_id)
        self.sent = 0

    def go_on(self) -> bool:
        """One handful; whether there may be more to do now."""
        due = self._database.all(sql.due_records, {"id": self._row["id"], "limit": HANDFUL})
        return self._again(due) if due else self._follow()

    def _follow(self) -> bool:
        page = self._page()
        waiting = self._waiting(page)
        fresh = [change for change in page.changes if (change["stream_id"], change["key"]) not in waiting]
        sent = self._send(fresh, page.feed.epoch)
        counted = self._database.one(sql.count_pending, {"id": self._row["id"]})
        verdict = self._judge(sent, pending=counted["n"] if counted else 0)
        going_on = self._settle(sent, verdict, page.next if verdict.moves else self._position)
        return going_on and page.more

    def _again(self, due: Sequence[DictRow]) -> bool:
        epoch = look(self._database).epoch
        kinds = self._row["kinds"]
        wanted_still = [
            row for row in due if row["xid"] and row["seen"] and (not kinds or row["kind"] in kinds)
        ]
        sent = self._send(wanted_still, epoch)
        dropped = [Sent(row, None) for row in due if row not in wanted_still]
        verdict = self._judge(sent, again=True)
        return self._settle(sent, verdict, self._position, dropped=dropped, again=True)

    def _page(self) -> Page:
        row = self._row
        what = Wanted(
            connection_id=row["connection_id"], stream=row["stream"], kinds=row["kinds"], view=view_in(row)
        )
        if row["replay_until"] is not None:
            what = replace(what, since=row["replay_since"], until=parse_position(row["replay_until"]).place)
        return read_changes(self._database, self._position, what, limit=HANDFUL)

    def _waiting(self, page: Page) -> set[tuple[int, str]]:
        """What waits by itself already is sent when its time comes, as it is then."""
        if not page.changes:
            return set()
        params = {
            "id": self._row["id"],
            "streams": [change["stream_id"] for change in page.changes],
            "keys": [change["key"] for change in page.changes],
        }
        return {(row["stream_id"], row["key"]) for row in self._database.all(sql.waiting_records, params)}

    def _send(self, changes: Sequence[DictRow], epoch: int) -> list[Sent]:
        if not changes:
            return []

        def carry(change: DictRow) -> Sent:
            message = message_of(change, epoch, subscription=self._row["id"])
            return Sent(change, self._courier.carry(self._target, message, self._signers, self._request_id))

        with ThreadPoolExecutor(len(changes), thread_name_prefix="deliver") as pool:
            return list(pool.map(carry, changes))

    def _judge(self, sent: Sequence[Sent], *, pending: int = 0, again: bool = False) -> Verdict:
        return judge(
            [each.failed for each in sent],
            attempt=self._attempt,
            failing=self._failing,
            pending=pending,
            dice=self._dice(),
            again=again,
        )

    def _settle(
        self,
        sent: Sequence[Sent],
        verdict: Verdict,
        position: Position,
        *,
        dropped: Sequence[Sent] = (),
        again: bool = False,
    ) -> bool:
        """Commit what became of a handful; whether this turn goes on."""
        keeps = verdict.moves or again
        done = [*(each for each in sent if each.failed is None), *dropped]
        failed = [each for each in sent if each.failed is not None]
        delivered = len(sent) - len(failed)
        until = self._row["replay_until"]
        replayed = until is not None and position.place >= parse_position(until).place
        state = self._database.one(
            sql.settle_deliveries,
            {
                "id": self._row["id"],
                "claim": self._row["claim_no"],
                "position": str(position),
                "attempt": verdict.attempt,
                "failing": verdict.failing,
                "rest": verdict.rest,
                "reason": verdict.disabled,
                "delivered": delivered,
                "lease": LEASE,
                "replayed": replayed,
                "error": failed[-1].failed.words if failed and failed[-1].failed else None,
                "done_streams": [each.change["stream_id"] for each in done],
                "done_keys": [each.change["key"] for each in done],
                **self._refused(failed if keeps else []),
            },
        )
        if state is None:
            return False  # another has it by now, or it was set back
        self._position, self._attempt = position, verdict.attempt
        self.sent += delivered
        self._tell(failed, verdict, state["state"])
        return state["state"] == "active" and verdict.rest is None

    def _refused(self, failed: Sequence[Sent]) -> dict[str, list[object]]:
        rows = []
        for each in failed:
            if (failure := each.failed) is None:
                continue
            attempt = each.change.get("attempt", 0) + 1
            wait = record_delay(attempt, each.change.get("failing", 0.0), self._dice(), failure.retry_after)
            rows.append((each.change["stream_id"], each.change["key"], attempt, wait, failure.words))
        names = ("streams", "keys", "attempts", "seconds", "errors")
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        return {f"failed_{name}": list(column) for name, column in zip(names, columns, strict=True)}

    def _tell(self, failed: Sequence[Sent], verdict: Verdict, state: str) -> None:
        if failed and failed[-1].failed:
            self._log.info("delivery_failed", messages=len(failed), words=failed[-1].failed.words)
        if verdict.disabled and state == "disabled":
            self._log.error("subscription_disabled", reason=verdict.disabled)
        elif verdict.rest is not None:
            self._log.warning("subscription_rests", seconds=round(verdict.rest), attempt=verdict.attempt)


def deliver(
    database: Database,
    courier: Courier,
    subscription: int,
    *,
    stopping: Callable[[], bool] = lambda: False,
    dice: Dice = random.random,
) -> int:
    """Deliver for one subscription for a while; how many messages were taken. Harmless when it comes twice or for nothing."""
    row = database.one(sql.claim_subscription, {"id": subscription, "lease": LEASE})
    if row is None:
        return 0
    sent = 0
    try:
        turn = Turn(database, courier, row, dice=dice)
        until = time.monotonic() + TURN
        try:
            while turn.go_on() and time.monotonic() < until and not stopping():
                pass
        finally:
            sent = turn.sent
            if sent:
                log.info("deliveries_sent", subscription=given_name(row["name"]), messages=sent)
    except (InvalidInput, NeedsOperator) as exc:
        _give_up(database, row, exc, dice())
    finally:
        database.run(sql.release_subscription, {"id": subscription, "claim": row["claim_no"]})
    return sent


def _give_up(database: Database, row: DictRow, error: HeadraceError, dice: float) -> None:
    """Nothing can be sent as it is: a person must act where the feed has gone on without it; the rest may mend itself."""
    expired = error.code == "position_expired"
    failed = Failed(error.message, silent=True)
    verdict = judge([failed], attempt=row["attempt"], failing=row["failing"], pending=0, dice=dice)
    if expired:
        verdict = replace(verdict, disabled=error.message)
    params = {"delivered": 0, "lease": LEASE, "replayed": False, "error": error.message}
    columns = (
        "done_streams",
        "done_keys",
        "failed_streams",
        "failed_keys",
        "failed_attempts",
        "failed_seconds",
        "failed_errors",
    )
    database.run(
        sql.settle_deliveries,
        {
            "id": row["id"],
            "claim": row["claim_no"],
            "position": row["position"],
            "attempt": verdict.attempt,
            "failing": verdict.failing,
            "rest": verdict.rest,
            "reason": verdict.disabled,
            **params,
            **{name: [] for name in columns},
        },
    )
    if verdict.disabled:
        log.error("subscription_disabled", subscription=given_name(row["name"]), reason=verdict.disabled)
    else:
        log.warning("delivery_failed", subscription=given_name(row["name"]), messages=0, words=error.message)
