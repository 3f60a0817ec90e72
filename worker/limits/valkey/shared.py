"""How does a question reach the budget that all workers share? The only module of `limits` that speaks Valkey's language.

Every change is one Lua call. Raises what redis-py raises; the caller decides what to do without Valkey.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from struct import unpack_from
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError

from worker.limits.policy import SECOND, Answer, Rule, Verdict, held_for
from worker.limits.quotas.quota import Block, Held, counted_for_good
from worker.limits.valkey.question import EPOCH, Asked, Patience, Question, Scope, key_of, question, scopes_of
from worker.limits.valkey.wire import UNREACHABLE, Wire, carried_out, connect, packed

__all__ = ["UNREACHABLE", "Row", "SharedBudget"]

LONGEST_REASON = 200
OPEN_AGAIN = 32
"""So many trials at a time, and a hold is over."""
MOST_QUESTIONS = 20_000
VERDICTS = {verdict.value.encode(): verdict for verdict in Verdict}
NOTHING_TOLD = packed([b"0", b"0", b"", b"0", b""])
ONE = packed([b"1"])


class Told(NamedTuple):
    """What Valkey may not know: a hold, an unknown past, how long a slot is held, a block that was fetched."""

    unknown_until: int = 0
    hold: int = 0
    reason: str = ""
    held: int = 0
    block: tuple[int, int, Block] | None = None


NOTHING = Told()


@dataclass(frozen=True, slots=True)
class Row:
    """What Valkey holds of one account; times are microseconds on its clock, 0 is never."""

    now: int
    last: int
    tats: tuple[int, ...]
    hold: int
    reason: str
    probing: bool
    slots: int
    line: int = 0
    """When the last of those who were refused is expected."""
    blocks: tuple[Held, ...] = ()
    """Of each rule that Postgres counts, in their order; empty where nothing is known."""


class SharedBudget:
    """The scripts and keys. Opens no connection before the first question."""

    def __init__(
        self, redis_url: str, *, patience: Patience, first_ever: Callable[[], bool] = lambda: False
    ) -> None:
        """`first_ever` says whether this installation never had a Valkey before, and remembers that it has one now."""
        self._patience = patience
        self._first_ever = first_ever
        self._redis = connect(redis_url)
        self._wire = Wire(self._redis, self._greet)
        self._take = _text("take")
        self._sha = sha1(self._take.encode(), usedforsecurity=False).hexdigest()
        self._load = b"*3\r\n" + packed([b"SCRIPT", b"LOAD", self._take.encode()])
        self._questions: dict[Asked, Question] = {}
        self._release, self._hold, self._slow, self._epoch = (
            self._redis.register_script(_text(name)) for name in ("release", "hold", "slow", "epoch")
        )

    def question(self, asked: Asked, now: int) -> Question:
        """What is asked for such a request, made once."""
        found = self._questions.get(asked)
        if found is None or (found.good_until is not None and now >= found.good_until):
            if len(self._questions) >= MOST_QUESTIONS:
                self._questions.clear()
            found = self._questions[asked] = question(self._sha, asked, self._patience, now)
        return found

    def take(self, q: Question, *, cost: int, max_wait: int, token: str, told: Told = NOTHING) -> Answer:
        """Ask for rate and slot at once. A grant that is `leased` must be released with its token."""
        head = b"%b%b$%d\r\n%d\r\n$%d\r\n%b\r\n" % (
            q.head,
            ONE if cost == 1 else packed([b"%d" % cost]),
            len(str(max_wait)),
            max_wait,
            len(token),
            token.encode(),
        )
        tail = (NOTHING_TOLD if told is NOTHING else _packed(told)) + q.tail
        try:
            data = self._wire.ask(lambda epoch: head + epoch + tail)
        except NoScriptError:
            # On the way of the questions: redis-py's own connections may still lead to another server.
            self._wire.ask(lambda _: self._load)
            data = self._wire.ask(lambda epoch: head + epoch + tail)
        verdict, at, now, place, slots, trials, reason = data.split(b" ", 6)
        return Answer(
            VERDICTS[verdict],
            int(at),
            int(now),
            int(place),
            int(slots),
            int(trials),
            reason.decode(errors="replace"),
        )

    def release(self, q: Question, answer: Answer, token: str, *, succeeded: bool) -> None:
        """Free what the token holds; harmless twice. What tried the system after a hold says how that went."""
        if answer.trials:
            tried = [scope.key for scope in _chosen(q, answer.slots | answer.trials)]
            enough = min(q.slots or OPEN_AGAIN, OPEN_AGAIN)
            carried_out(self._release, tried, [token, int(succeeded), answer.at, enough])
            return
        for scope in _chosen(q, answer.slots):
            self.free(scope.slots, token)

    def free(self, slots: str, token: str) -> None:
        """Give a slot back, without waiting for the answer."""
        command = packed([b"ZREM", slots.encode(errors="surrogatepass"), token.encode()])
        self._wire.tell(b"*3\r\n" + command, (slots, token))

    def has_unsure(self) -> bool:
        return bool(self._wire.lost)

    def scope_key(self, asked: Asked, rule: Rule) -> str:
        """Where a rule counts."""
        return next(scope.key for scope in scopes_of(asked) if rule in scope.rules)

    def unsure(self) -> list[tuple[str, str]]:
        """Slots whose return may not have been heard; each is named once."""
        lost = self._wire.lost
        found: list[tuple[str, str]] = []
        while True:
            try:
                slots, token = lost.popleft()
            except IndexError:  # that was the last one, or another thread took it
                return found
            found.append((slots, token))

    def hold(
        self, account: str, seconds: float, reason: str, *, longest: float = 0.0
    ) -> tuple[int, str, int]:
        """Hold the account for everybody. Returns until when it is held, why, and the time now."""
        said = reason[:LONGEST_REASON].encode(errors="replace")
        until, why, now = carried_out(
            self._hold, [key_of(account)], [held_for(seconds), said, int(longest * SECOND)]
        )
        return int(until), _read(why), int(now)

    def held(self, account: str) -> int:
        """Until when the account is held, or was; 0: it wasn't of late."""
        key = key_of(account).encode()
        return int(self._wire.ask(lambda _: b"*3\r\n" + packed([b"HGET", key, b"hold"])) or 0)

    def slow_down(self, account: str, interval: int, length: int, reason: str) -> int:
        """From now on, for `length` microseconds, one request each `interval`; 0: none. Returns the time now."""
        said = reason.encode(errors="replace")
        return int(carried_out(self._slow, [key_of(account)], [interval, length, said]))

    def rows(self, asked: Asked) -> list[tuple[Scope, Row]]:
        """What is known in each scope where such a request counts, read without changing anything."""
        scopes = scopes_of(asked)
        seconds, micros = self._redis.time()
        now = seconds * SECOND + micros
        with self._redis.pipeline(transaction=False) as pipe:
            for scope in scopes:
                pipe.hmget(scope.key, ["p", "hold", "reason", "ramp"])
                pipe.zcount(scope.slots, now, "+inf")
                pipe.hvals(f"{scope.key}:line")
            found = pipe.execute()
        return [
            (scope, _row(now, self._stored(scope), *found[3 * n : 3 * n + 3]))
            for n, scope in enumerate(scopes)
        ]

    def remembers(self) -> None:
        """Take the memory of this Valkey for whole, as one may who has just made it: nothing was sent before."""
        self._epoch(keys=[EPOCH])
        self._redis.hset(EPOCH, "born", 1)

    def close(self) -> None:
        """Drop the idle connections."""
        self._wire.close()
        self._redis.close()

    def _stored(self, scope: Scope) -> list[bool]:
        """Of each window, whether it is counted in Postgres, and not in Valkey."""
        stored = self._patience.stored
        return [stored and counted_for_good(rule) for rule in scope.rules if rule.requests is not None]

    def _greet(self, connection: Any) -> bytes:
        """Since when the server remembers. One without a mark has lost its memory, unless nothing was ever sent before."""
        connection.send_command("EVAL", self._epoch_text, 1, EPOCH)
        born, unmarked = connection.read_response(disable_decoding=True)
        if unmarked == b"1" and self._first_ever():
            connection.send_command("HSET", EPOCH, "born", 1)
            connection.read_response()
            born = b"1"
        return packed([born])

    @cached_property
    def _epoch_text(self) -> str:
        return _text("epoch")


def _chosen(q: Question, bits: int) -> list[Scope]:
    return [scope for n, scope in enumerate(q.scopes) if bits >> n & 1]


def _row(now: int, stored: list[bool], fields: list[Any], busy: int, line: list[bytes]) -> Row:
    packed_numbers, hold, reason, ramp = fields
    numbers = packed_numbers or b""
    values = unpack_from(f"<{len(numbers) // 8}d", numbers)
    windows = stored.count(False)
    counted, blocks = iter(values[2 : 2 + 2 * windows : 2]), map(int, values[2 + 2 * windows :])
    return Row(
        now=now,
        last=int(values[0]) if values else 0,
        tats=tuple(0 if elsewhere else int(next(counted, 0)) for elsewhere in stored),
        hold=int(hold or 0),
        reason=_read(reason or b""),
        probing=ramp is not None,
        slots=busy,
        line=max((int(end) for end in line), default=0),
        blocks=tuple(Held(*four) for four in zip(blocks, blocks, blocks, blocks, strict=False)),
    )


def _packed(told: Told) -> bytes:
    block = ""
    if told.block is not None:
        scope, quota, found = told.block
        block = f"{scope} {quota} {found.amount} {found.period} {found.closed_until} {found.expires or found.used}"
    reason = told.reason[:LONGEST_REASON].encode(errors="replace")
    return packed([b"%d" % told.unknown_until, b"%d" % told.hold, reason, b"%d" % told.held, block.encode()])


def _text(name: str) -> str:
    return files("worker.limits.valkey").joinpath("scripts", f"{name}.lua").read_text()


def _read(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
