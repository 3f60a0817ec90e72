"""The demo's sliding window is exact."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from scheduler.embedded.demo.limits import Limiter


@given(
    pauses=st.lists(st.integers(0, 40), max_size=150),
    requests=st.integers(1, 6),
    per=st.integers(1, 100),
)
def test_no_window_admits_more_than_the_limit_and_nobody_is_refused_for_nothing(
    pauses: list[int], requests: int, per: int
) -> None:
    limiter, now, admitted = Limiter(requests, per), 1000, deque[int]()
    for pause in pauses:
        now += pause
        in_window = sum(at > now - per for at in admitted)
        verdict = limiter.arrive(0, now)
        assert verdict.admitted == (in_window < requests)
        if verdict.admitted:
            admitted.append(now)
        assert verdict.remaining == requests - min(requests, in_window + verdict.admitted)


@given(pauses=st.lists(st.integers(0, 10), min_size=1, max_size=60), requests=st.integers(1, 4))
def test_who_waits_as_told_is_let_in(pauses: list[int], requests: int) -> None:
    limiter, now = Limiter(requests, 7.5), 1000.0
    for pause in pauses:
        now += pause / 10
        verdict = limiter.arrive(0, now)
        if not verdict.admitted:
            headers = verdict.headers(now)
            assert int(headers["X-RateLimit-Reset"]) >= now
            now += int(headers["Retry-After"])
            assert limiter.arrive(0, now).admitted


def test_tokens_have_windows_of_their_own() -> None:
    limiter = Limiter(1, 60)
    assert limiter.arrive(0, 5).admitted
    assert limiter.arrive(1, 5).admitted
    assert not limiter.arrive(0, 6).admitted


def test_what_was_refused_does_not_count() -> None:
    limiter = Limiter(1, 10)
    limiter.arrive(0, 0)
    assert not any(limiter.arrive(0, second).admitted for second in range(1, 10))
    assert limiter.arrive(0, 10).admitted


def test_every_arrival_is_written_down_admitted_or_not() -> None:
    limiter = Limiter(1, 10)
    for second in (0, 1, 12):
        limiter.arrive(0, second)
    assert [(a.at, a.admitted) for a in limiter.arrivals()] == [(0, True), (1, False), (12, True)]
    limiter.forget_arrivals()
    assert not list(limiter.arrivals())


def test_without_a_limit_everything_is_let_in_and_nothing_is_told() -> None:
    limiter = Limiter(0, 60)
    assert all(limiter.arrive(0, 1.0).admitted for _ in range(1000))
    assert limiter.arrive(0, 1.0).headers(1.0) == {}


def test_a_new_limit_begins_with_empty_windows() -> None:
    limiter = Limiter(1, 60)
    limiter.arrive(0, 0)
    limiter.change(2, 5)
    assert [limiter.arrive(0, 1).admitted for _ in range(3)] == [True, True, False]
