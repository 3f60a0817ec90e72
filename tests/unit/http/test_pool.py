"""Connections are kept within bounds, the latest used first, and none that is not to be trusted is used."""

from collections.abc import Iterator
from threading import Thread
from typing import Any

import httpcore
import pytest

from worker.http.wire.pool import Pool


class Stream:
    """A body as httpcore's connections give it."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"{}"

    def close(self) -> None:
        """The connection knows what that means."""


class Fake:
    """A connection as httpcore makes them, as far as a pool sees it."""

    def __init__(self) -> None:
        self.idle = True
        self.expired = False
        self.closed = False

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        if request.method == b"BREAK":
            raise httpcore.ReadError
        return httpcore.Response(200, content=Stream())

    def is_idle(self) -> bool:
        return self.idle

    def has_expired(self) -> bool:
        return self.expired

    def close(self) -> None:
        self.closed = True


class Pooled(Pool):
    """A pool of fakes, in the order in which they were opened."""

    def __init__(self, most_open: int = 9, most_idle: int = 9) -> None:
        super().__init__(None, most_open=most_open, most_idle=most_idle, kept_alive=30)  # type: ignore[arg-type]
        self.made: list[Fake] = []

    def _new(self, key: Any) -> Any:
        self.made.append(Fake())
        return self.made[-1]

    def ask(self, host: str = "here", method: str = "GET", patience: float = 0.0) -> httpcore.Response:
        extensions = {"timeout": {"pool": patience}}
        return self.handle_request(
            httpcore.Request(method, f"https://{host}.example/", extensions=extensions)
        )


@pytest.fixture
def pool() -> Iterator[Pooled]:
    made = Pooled(most_open=2)
    yield made
    made.close()
    assert made._open == sum(not each.closed for each in made.made)


def test_the_latest_used_connection_to_the_same_place_is_taken_again(pool: Pooled) -> None:
    first, second = pool.ask(), pool.ask()
    first.close()
    second.close()
    pool.ask().close()

    assert len(pool.made) == 2
    assert pool._idle[b"https", b"here.example", 443] == pool.made


def test_a_connection_that_expired_or_spoke_unasked_is_replaced(pool: Pooled) -> None:
    pool.ask().close()
    pool.made[0].expired = True
    pool.ask().close()

    assert [each.closed for each in pool.made] == [True, False]


def test_what_was_not_read_to_its_end_is_closed_and_so_is_what_broke(pool: Pooled) -> None:
    answer = pool.ask()
    pool.made[0].idle = False
    answer.close()
    answer.close()
    with pytest.raises(httpcore.ReadError):
        pool.ask(method="BREAK")

    assert [each.closed for each in pool.made] == [True, True]
    assert pool._open == 0


def test_no_more_than_so_many_are_open_and_an_idle_one_makes_room(pool: Pooled) -> None:
    mine = pool.ask("here")
    held = pool.ask("there")
    with pytest.raises(httpcore.PoolTimeout):
        pool.ask("elsewhere")
    mine.close()
    third = pool.ask("elsewhere")

    assert [each.closed for each in pool.made] == [True, False, False]
    with pytest.raises(httpcore.PoolTimeout):
        pool.ask("here")
    held.close()
    third.close()


def test_one_who_waits_gets_what_comes_back() -> None:
    pool = Pooled(most_open=1)
    mine = pool.ask()
    got: list[int] = []
    waiting = Thread(target=lambda: got.append(pool.ask(patience=5).status))
    waiting.start()
    mine.close()
    waiting.join(5)

    assert got == [200]
    assert len(pool.made) == 1


def test_idle_connections_are_bounded_and_go_with_time() -> None:
    pool = Pooled(most_idle=2)
    answers = [pool.ask() for _ in range(3)]
    for answer in answers:
        answer.close()
    assert [each.closed for each in pool.made] == [False, False, True]

    pool.made[0].expired = True
    pool._next_sweep = 0.0
    pool.ask("there").close()
    assert [each.closed for each in pool.made] == [True, False, True, False]
    assert pool._open == 2


def test_what_is_in_use_when_the_pool_closes_is_closed_when_it_comes_back() -> None:
    pool = Pooled()
    idle, busy = pool.ask("here"), pool.ask("there")
    idle.close()
    pool.close()
    assert [each.closed for each in pool.made] == [True, False]
    busy.close()
    assert pool.made[1].closed


def test_only_http_is_spoken(pool: Pooled) -> None:
    with pytest.raises(httpcore.UnsupportedProtocol):
        pool.handle_request(httpcore.Request("GET", "ftp://here.example/"))
