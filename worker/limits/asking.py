"""Who answers a question to the budget: Valkey, or this process while Valkey is away? And what must be told afterwards?

What Valkey doesn't know goes along with the questions: holds that this process heard of, that an outage has passed in
which others may have sent, and blocks of quotas that were fetched from Postgres.
"""

from collections import deque
from dataclasses import dataclass
from itertools import count
from secrets import token_hex
from time import monotonic

from worker.limits.local import LocalBudget
from worker.limits.outage import Outage
from worker.limits.pace import RESERVE, expected, payback
from worker.limits.policy import Answer, Rule, Verdict
from worker.limits.quotas.quota import Block, Quotas, counted_for_good, free_at
from worker.limits.valkey.question import Asked, Patience, Question, Scope
from worker.limits.valkey.shared import NOTHING, UNREACHABLE, Row, SharedBudget, Told

MOST_HELD = 20_000


@dataclass(slots=True)
class Grant:
    """An answer, and what is needed to give back what it took."""

    asked: Asked
    answer: Answer
    began: float
    """Our clock just before the question."""
    question: Question | None = None
    """None: answered by this process alone."""
    token: str = ""


class Asker:
    """Asks for one process; shared by its threads."""

    def __init__(
        self, redis_url: str, *, patience: Patience, cool_down: float, quotas: Quotas | None
    ) -> None:
        first_ever = quotas.first_ever if quotas is not None else lambda: False
        self.shared = SharedBudget(redis_url, patience=patience, first_ever=first_ever)
        self.local = LocalBudget()
        self.outage = Outage(cool_down=cool_down)
        self._patience = patience
        self._quotas = quotas
        self._token, self._tokens = token_hex(5), count(1)
        self._held: dict[str, int] = {}
        self._owed: deque[tuple[str, str]] = deque(maxlen=10_000)

    def ask(self, asked: Asked, cost: int, max_wait: int) -> Grant:
        """Ask Valkey, or ourselves when it is away."""
        if self.outage.may_ask():
            question = self.shared.question(asked, self.outage.now())
            token = f"{self._token}{next(self._tokens):x}"
            began = monotonic()
            try:
                answer = self._answer(question, cost, max_wait, token)
            except UNREACHABLE as exc:
                # The answer may be lost and the slot taken all the same: it is freed once Valkey is back.
                self._owed.extend((scope.slots, token) for scope in question.scopes)
                self.outage.begin(exc)
            else:
                self.answered(answer.now)
                if answer.verdict is Verdict.HELD:
                    self.local.hold(asked.account, answer.at, answer.reason, answer.now)
                return Grant(asked, answer, began, question, token)
        return Grant(asked, self._by_ourselves(asked, cost, max_wait), monotonic())

    def give_back(self, grant: Grant, *, succeeded: bool) -> None:
        """Free what the grant holds; its rate is spent."""
        question, answer = grant.question, grant.answer
        if question is None:
            if answer.slots:
                self.local.release(grant.asked.account)
            return
        if not (answer.slots or answer.trials):
            return
        if question.slots:
            self._learn_how_long(grant)
        if not self.outage.active:
            try:
                self.shared.release(question, answer, grant.token, succeeded=succeeded)
                return
            except UNREACHABLE as exc:
                self.outage.begin(exc)
        self._owed.extend((scope.slots, grant.token) for scope in question.scopes)

    def answered(self, now: int) -> None:
        """Valkey is there: tell it what could not be told while it was away."""
        self.outage.over(now)
        if self.shared.has_unsure():
            self._owed.extend(self.shared.unsure())
        while self._owed and not self.outage.active:
            try:
                slots, token = self._owed.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                self.shared.free(slots, token)
            except UNREACHABLE as exc:
                self._owed.append((slots, token))
                self.outage.begin(exc)

    def _answer(self, question: Question, cost: int, max_wait: int, token: str) -> Answer:
        told = self._told(question)
        answer = self.shared.take(question, cost=cost, max_wait=max_wait, token=token, told=told)
        # Several quotas may want a block at once, and nobody else fetches for this account meanwhile.
        fetches = sum(map(len, question.quotas)) if self._quotas is not None else 0
        while answer.verdict is Verdict.REFILL and fetches:
            fetches -= 1
            told = told._replace(block=self._fetched(question, answer, cost))
            answer = self.shared.take(question, cost=cost, max_wait=max_wait, token=token, told=told)
        if answer.verdict is Verdict.REFILL:
            return answer._replace(verdict=Verdict.AGAIN, place=answer.now)
        return answer

    def _fetched(self, question: Question, answer: Answer, cost: int) -> tuple[int, int, Block]:
        assert self._quotas is not None  # noqa: S101 - asked for before
        scope, quota = map(int, answer.reason.split())
        block = self._quotas.fetch(
            question.scopes[scope].key,
            question.quotas[scope][quota],
            now=answer.now,
            cost=cost,
            ahead=self._patience.furthest,
        )
        return scope, quota, block

    def expected_wait(self, scope: Scope, row: Row, requests: int, lane: int = 3) -> int:
        """Until so many requests may have left, as far as Valkey knows: an estimate."""
        counted = filter(self._counted, scope.rules)
        free = [
            free_at(rule, held, now=row.now, requests=requests, reserve=RESERVE[lane])
            for rule, held in zip(counted, row.blocks, strict=False)
        ]
        start = max(row.hold, row.last, row.line, *free)
        return expected(scope.rules, row.tats, now=row.now, start=start, requests=requests)

    def is_held(self, grant: Grant) -> bool:
        """Whether somebody said meanwhile that nobody sends: asked by who has slept with a grant."""
        account, at = grant.asked.account, grant.answer.at
        if not self.outage.active:
            try:
                return self.shared.held(account) > at
            except UNREACHABLE as exc:
                self.outage.begin(exc)
        known = self.local.known(account)
        return known is not None and known.hold > at

    def _told(self, question: Question) -> Told:
        account, outage = question.asked.account, self.outage
        known = self.local.known(account)
        unknown, told = outage.last, NOTHING
        if unknown:
            # After an outage bursts begin empty: others may have sent what Valkey never heard of.
            unknown += self._patience.furthest
            if unknown + payback(question.asked.rules) > outage.now():
                told = told._replace(unknown_until=unknown)
        if known is not None and known.hold > outage.now():
            told = told._replace(hold=known.hold, reason=known.reason)
        if question.slots and account in self._held:
            told = told._replace(held=self._held[account])
        return told

    def _by_ourselves(self, asked: Asked, cost: int, max_wait: int) -> Answer:
        now, rules = self.outage.now(), asked.rules
        answer = self.local.take(
            asked.account,
            rules,
            cost=cost,
            max_wait=max_wait,
            now=now,
            since=self.outage.since + self._patience.furthest,
            counted=self._counted,
        )
        if answer.verdict is not Verdict.GRANTED:
            return answer
        try:
            closed_until = self._closed_until(asked, cost, now)
        except BaseException:
            self.local.release(asked.account)
            raise
        if closed_until:
            self.local.release(asked.account)
            return Answer(Verdict.TOO_EARLY, closed_until, now, closed_until)
        return answer

    def _counted(self, rule: Rule) -> bool:
        return self._quotas is not None and counted_for_good(rule)

    def _closed_until(self, asked: Asked, cost: int, now: int) -> int:
        """When the quotas that Postgres counts allow a request; 0: they did, and it is counted."""
        if self._quotas is None:
            return 0
        ahead = self._patience.furthest
        for rule in filter(counted_for_good, asked.rules):
            key = self.shared.scope_key(asked, rule)
            block = self._quotas.fetch(key, rule, now=now, cost=cost, ahead=ahead, alone=True)
            if block.amount < cost:
                return block.closed_until
        return 0

    def _learn_how_long(self, grant: Grant) -> None:
        if len(self._held) >= MOST_HELD:
            self._held.clear()
        account, took = grant.asked.account, int((monotonic() - grant.began) * 1_000_000)
        self._held[account] = (3 * self._held.get(account, took) + took) // 4
