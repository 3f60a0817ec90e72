"""How often a store is asked, what is used while it is away, and when a refusal counts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock

import pytest
import structlog

from worker.errors import NeedsOperator
from worker.secrets.cache import AGAIN_AFTER, AWAY_FOR, REFUSED_FOR, SAID_EVERY, SecretCache
from worker.secrets.stores.port import StoreUnavailable, unresolved
from worker.secrets.value import Secret

AGE, LONGEST = 300.0, 86_400.0
KEY = "vault://secret/app#token"


class Kept:
    """A store, and how often it was asked."""

    def __init__(self) -> None:
        self.value = "first"
        self.asked = 0
        self.fails: Exception | None = None
        self.lock = Lock()

    def __call__(self) -> str:
        with self.lock:
            self.asked += 1
        if self.fails is not None:
            raise self.fails
        return self.value


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Kept:
    return Kept()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cache(time: Time) -> SecretCache:
    return SecretCache(age=lambda: AGE, longest=lambda: LONGEST, clock=time, most=3)


def away() -> StoreUnavailable:
    return StoreUnavailable("the vault", "it is sealed")


def refused() -> NeedsOperator:
    return unresolved(KEY, "we may not", "Ask.")


Ask = Callable[..., str]


@pytest.fixture
def ask(cache: SecretCache, store: Kept) -> Ask:
    def ask(*, key: str = KEY, fresh: bool = False) -> str:
        return cache.get(key, "the vault", store, fresh=fresh).reveal()

    return ask


def test_a_value_is_used_until_it_is_old_and_then_read_again(ask: Ask, store: Kept, time: Time) -> None:
    assert [ask(), ask()] == ["first", "first"]
    store.value = "second"
    time.now = AGE - 1
    assert ask() == "first"
    time.now = AGE
    assert ask() == "second"
    assert store.asked == 2


def test_who_needs_it_fresh_gets_it_as_it_is_now(ask: Ask, store: Kept) -> None:
    ask()
    store.value = "second"
    assert ask(fresh=True) == "second"
    assert ask() == "second"


def test_many_threads_ask_the_store_once(cache: SecretCache) -> None:
    together, slow, asked = Barrier(8), Event(), []

    def read() -> str:
        asked.append(1)
        slow.wait(0.2)
        return "first"

    def run(_number: int) -> str:
        together.wait(5)
        return cache.get(KEY, "the vault", read).reveal()

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(run, range(8))) == ["first"] * 8
    assert len(asked) == 1


def test_what_is_held_is_used_while_the_store_is_away_but_not_for_ever(
    ask: Ask, store: Kept, time: Time, cache: SecretCache
) -> None:
    ask()
    store.fails = away()
    time.now = AGE
    with structlog.testing.capture_logs() as told:
        assert ask() == "first"
    assert [each["event"] for each in told] == ["secret_store_away"]
    assert cache.away() == {"the vault": away().message}
    time.now = LONGEST
    with pytest.raises(StoreUnavailable):
        ask()


def test_a_store_that_is_away_is_not_asked_at_every_request(ask: Ask, store: Kept, time: Time) -> None:
    ask()
    store.fails, time.now = away(), AGE
    for _ in range(10):
        ask()
    assert store.asked == 2
    with pytest.raises(StoreUnavailable):
        ask(key="vault://secret/app#other")
    assert store.asked == 2
    time.now += AWAY_FOR
    ask()
    assert store.asked == 3


def test_that_a_store_is_away_is_said_once_a_minute(ask: Ask, store: Kept, time: Time) -> None:
    ask()
    store.fails = away()
    with structlog.testing.capture_logs() as told:
        for _ in range(120):
            time.now = max(AGE, time.now) + 1
            ask()
    assert len(told) == 120 // int(SAID_EVERY)


def test_a_store_that_is_back_is_asked_again_and_that_is_said(
    ask: Ask, store: Kept, time: Time, cache: SecretCache
) -> None:
    ask()
    store.fails, time.now = away(), AGE
    ask()
    store.fails, store.value = None, "second"
    time.now += AWAY_FOR
    with structlog.testing.capture_logs() as told:
        assert ask() == "second"
    assert [each["event"] for each in told] == ["secret_store_back"]
    assert cache.away() == {}


def test_what_was_never_read_is_not_held(ask: Ask, store: Kept) -> None:
    store.fails = away()
    with pytest.raises(StoreUnavailable, match="it is sealed"):
        ask()


def test_what_needs_to_be_fresh_is_never_one_that_is_held(ask: Ask, store: Kept) -> None:
    ask()
    store.fails = away()
    with pytest.raises(StoreUnavailable):
        ask(fresh=True)


def test_a_refusal_ends_what_was_held_and_an_outage_does_not_bring_it_back(
    ask: Ask, store: Kept, time: Time
) -> None:
    ask()
    store.fails, time.now = refused(), AGE
    with pytest.raises(NeedsOperator):
        ask()
    store.fails = away()
    time.now += REFUSED_FOR
    with pytest.raises(StoreUnavailable):
        ask()


def test_a_refusal_is_repeated_for_a_moment_without_asking(ask: Ask, store: Kept, time: Time) -> None:
    store.fails = refused()
    for _ in range(5):
        with pytest.raises(NeedsOperator, match="we may not"):
            ask()
    assert store.asked == 1
    store.fails = None
    assert ask(fresh=True) == "first"
    time.now += REFUSED_FOR
    assert ask() == "first"


def test_after_a_401_it_is_read_again_at_once_and_a_storm_of_them_reads_once(
    ask: Ask, store: Kept, cache: SecretCache, time: Time
) -> None:
    known = Secret(ask())
    store.value, time.now = "second", 0.1
    found = [cache.again(KEY, "the vault", store, known).reveal() for _ in range(50)]
    assert found == ["second"] * 50
    assert store.asked == 2


def test_401s_with_a_value_that_did_not_change_do_not_hammer_the_store(
    ask: Ask, store: Kept, cache: SecretCache, time: Time
) -> None:
    known = Secret(ask())
    for _ in range(60):
        time.now += 1
        assert cache.again(KEY, "the vault", store, known) == known
    assert store.asked == 1 + 60 // AGAIN_AFTER


def test_a_second_rotation_soon_after_the_first_is_taken_up_a_little_later(
    ask: Ask, store: Kept, cache: SecretCache, time: Time
) -> None:
    known = Secret(ask())
    store.value = "second"
    known = cache.again(KEY, "the vault", store, known)
    store.value = "third"
    assert cache.again(KEY, "the vault", store, known).reveal() == "second"
    time.now = AGAIN_AFTER
    assert cache.again(KEY, "the vault", store, known).reveal() == "third"


def test_the_401_of_a_store_that_is_away_leaves_what_is_held(
    ask: Ask, store: Kept, cache: SecretCache, time: Time
) -> None:
    known = Secret(ask())
    store.fails, time.now = away(), AGAIN_AFTER
    assert cache.again(KEY, "the vault", store, known) == known


def test_a_403_has_it_read_again_no_more_often_than_its_age_does(
    ask: Ask, store: Kept, cache: SecretCache, time: Time
) -> None:
    known = Secret(ask())
    for _ in range(int(2 * AGE)):
        time.now += 1
        assert cache.again(KEY, "the vault", store, known, doubtful=True) == known
    assert store.asked == 1 + 2
    store.value, time.now = "second", 3 * AGE
    found = [cache.again(KEY, "the vault", store, known, doubtful=True).reveal() for _ in range(50)]
    assert (found, store.asked) == (["second"] * 50, 1 + 3)


def test_403s_do_not_keep_a_401_from_having_it_read_again(
    ask: Ask, store: Kept, cache: SecretCache, time: Time
) -> None:
    known = Secret(ask())
    assert cache.again(KEY, "the vault", store, known, doubtful=True) == known
    store.value = "second"
    assert cache.again(KEY, "the vault", store, known, doubtful=True) == known
    assert cache.again(KEY, "the vault", store, known).reveal() == "second"


def test_where_values_are_not_kept_403s_do_not_hammer_the_store_either(store: Kept, time: Time) -> None:
    cache = SecretCache(age=lambda: 0.0, longest=lambda: LONGEST, clock=time)
    for _ in range(60):
        time.now += 1
        cache.again(KEY, "the vault", store, Secret("first"), doubtful=True)
    assert store.asked == 60 // AGAIN_AFTER


def test_those_not_used_for_longest_are_forgotten(ask: Ask, store: Kept) -> None:
    for number in range(4):
        ask(key=f"vault://secret/app#{number}")
    ask(key="vault://secret/app#3")
    assert store.asked == 4
    ask(key="vault://secret/app#0")
    assert store.asked == 5


def test_what_we_wrote_is_what_is_used(ask: Ask, cache: SecretCache, store: Kept) -> None:
    ask()
    cache.put(KEY, Secret("written"))
    assert ask() == "written"
    assert store.asked == 1


@pytest.mark.parametrize("text", ["{!r}", "{!s}", "{}", "{:>20}"])
def test_a_secret_does_not_print(text: str) -> None:
    assert "planted" not in text.format(Secret("planted-value"))
    assert "planted" not in str({"a": [Secret("planted-value")]})
