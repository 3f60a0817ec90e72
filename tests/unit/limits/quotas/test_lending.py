"""Blocks of long windows: whoever fetches them at whatever cost, no window holds more than its limit."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.limits.policy import Rule
from worker.limits.quotas.lending import lend
from worker.limits.quotas.quota import BLOCK_LIFE, most_at_once, unit_of

HOUR = 3600.0


@dataclass
class Fetched:
    """What Postgres remembers, what Valkey holds of the last block, and what was used when, at which cost."""

    rule: Rule
    now: float = 1_772_000_000.0
    times: list[float] = field(default_factory=list)
    left_alone: int = 0
    left: int = 0
    void_at: float = 0.0
    used: list[tuple[float, int]] = field(default_factory=list)

    def use(self, cost: int, *, alone: bool = False) -> float:
        """Seconds to wait; 0: it was granted."""
        if self.void_at <= self.now:
            self.left = 0
        if alone or self.left < cost:
            lent = lend(
                self.rule, self.times, self.left_alone, now=self.now, cost=cost, ahead=0.0, alone=alone
            )
            self.times, self.left_alone = lent.fetched, lent.left
            if not lent.amount:
                return lent.wait
            if not alone:
                void_at = self.now + self.rule.per * BLOCK_LIFE
                self.void_at = min(self.void_at, void_at) if self.left else void_at
                self.left += lent.amount
        if not alone:
            self.left -= cost
        self.used.append((self.now, cost))
        return 0.0

    def fullest(self) -> int:
        per = self.rule.per
        return max((sum(c for t, c in self.used if s <= t <= s + per) for s, _ in self.used), default=0)


rules = st.builds(Rule, requests=st.sampled_from([20, 21, 100, 399, 400, 1000]), per=st.just(HOUR))
asked = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 30.0, 200.0, 1900.0, 3700.0]),
        st.sampled_from([1, 1, 1, 3, 7, 33, 60, 10_000]),
        st.sampled_from([1, 5, 40]),
        st.booleans(),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(rule=rules, asked=asked)
def test_no_window_ever_holds_more_than_the_limit(
    rule: Rule, asked: list[tuple[float, int, int, bool]]
) -> None:
    fetched = Fetched(rule)
    for pause, wanted, times, alone in asked:
        fetched.now += pause
        for _ in range(times):
            fetched.use(min(wanted, most_at_once(rule)), alone=alone)
    assert fetched.fullest() <= (rule.requests or 0)


@settings(deadline=None)
@given(rule=rules, before=asked, cost=st.sampled_from([1, 7, 60, 10_000]))
def test_who_comes_at_the_time_that_is_named_is_granted(
    rule: Rule, before: list[tuple[float, int, int, bool]], cost: int
) -> None:
    fetched, cost = Fetched(rule), min(cost, most_at_once(rule))
    for pause, wanted, times, alone in before:
        fetched.now += pause
        for _ in range(times):
            fetched.use(min(wanted, most_at_once(rule)), alone=alone)
    for _ in range(2):
        wait = fetched.use(cost)
        fetched.now += wait + 0.001
    assert not wait or not fetched.use(cost)


def test_under_full_load_two_blocks_are_not_used() -> None:
    fetched = Fetched(Rule(requests=400, per=HOUR))
    while fetched.now < 1_772_000_000.0 + 5 * HOUR:
        fetched.now += fetched.use(1)
    first = fetched.used[0][0]
    whole = [time for time, _ in fetched.used if first + HOUR < time <= first + 4 * HOUR]
    assert len(whole) >= 3 * 0.98 * 400


def test_a_worker_without_valkey_uses_a_block_up_request_by_request() -> None:
    rule = Rule(requests=1000, per=HOUR)
    fetched = Fetched(rule)
    for _ in range(10):
        assert fetched.use(1, alone=True) == 0.0
        fetched.now += 4.0
    assert len(fetched.times) * unit_of(rule) == 10


def test_a_clock_of_postgres_that_was_set_back_stops_nobody_for_longer_than_a_window() -> None:
    fetched = Fetched(Rule(requests=20, per=HOUR))
    while not fetched.use(1):
        pass
    fetched.now -= 86_400.0
    assert 0 < fetched.use(1) <= HOUR * (1 + BLOCK_LIFE) + 1
