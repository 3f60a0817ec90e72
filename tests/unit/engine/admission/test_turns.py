"""The slots of a worker: nobody fills them all, nobody starves, and nothing that waits is forgotten."""

from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.admission.turns import Turns


def begin(turns: Turns, queue: str, run_id: str) -> Iterator[str] | None:
    """A thread that has begun its first run, or None where it was sent away."""
    thread = turns.take(queue, run_id)
    return thread if next(thread, None) is not None else None


def fill(turns: Turns, queue: str, count: int) -> list[Iterator[str]]:
    begun = [begin(turns, queue, f"{queue}-{number}") for number in range(count)]
    return [thread for thread in begun if thread is not None]


def test_one_system_leaves_a_third_of_the_slots_to_others() -> None:
    turns = Turns(16)
    assert len(fill(turns, "sync.slow", 100)) == 11
    assert len(fill(turns, "sync.well", 5)) == 5


def test_a_worker_of_one_system_gives_it_every_slot() -> None:
    assert len(fill(Turns(16, shared=False), "sync.only", 16)) == 16


def test_a_system_without_a_run_at_work_is_let_in_however_full_it_is() -> None:
    turns = Turns(4)
    for name in ("a", "b", "c", "d"):
        fill(turns, f"sync.{name}", 4)
    assert begin(turns, "sync.e", "first") is not None


def test_the_thread_that_ends_a_run_goes_on_with_one_that_waits() -> None:
    turns = Turns(3)
    thread, *_ = fill(turns, "sync.slow", 6)
    assert [next(thread), next(thread)] == ["sync.slow-2", "sync.slow-3"]


def test_what_somebody_waits_for_goes_before_what_was_scheduled() -> None:
    turns = Turns(1)
    thread = begin(turns, "sync.a", "at work")
    assert thread is not None
    for queue, run_id in (("sync.a", "scheduled"), ("sync.a.live", "on demand"), ("write.a", "write")):
        assert begin(turns, queue, run_id) is None
    assert list(thread) == ["write", "on demand", "scheduled"]


def test_the_same_run_waits_once_and_none_of_a_backlog_is_dropped() -> None:
    turns = Turns(1)
    thread = begin(turns, "sync.a", "at work")
    assert thread is not None
    for number in range(1000):
        begin(turns, "sync.a", f"run {number}")
        begin(turns, "sync.a", f"run {number}")
    assert list(thread) == [f"run {number}" for number in range(1000)]


def test_the_end_of_the_process_names_whoever_waits_and_begins_none_of_them() -> None:
    turns = Turns(1)
    thread = begin(turns, "sync.a", "at work")
    begin(turns, "sync.a", "waits")
    turns.close()
    assert begin(turns, "sync.b", "came late") is None
    assert thread is not None
    assert list(thread) == []
    assert turns.left() == ["waits", "came late"]


steps = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20)), max_size=80)


@given(slots=st.integers(1, 8), script=steps)
def test_whatever_comes_and_goes_every_run_is_carried_out_once(
    slots: int, script: list[tuple[str, int]]
) -> None:
    turns = Turns(slots)
    at_work: list[Iterator[str]] = []
    done: Counter[str] = Counter()
    for number, (system, ends) in enumerate(script):
        if len(at_work) < slots:  # the pool has a thread for it
            thread = turns.take(f"sync.{system}", f"{system}{number}")
            if (run := next(thread, None)) is not None:
                done[run] += 1
                at_work.append(thread)
        else:
            done[f"{system}{number}"] += 1  # its message waits in the queue: not ours
        if at_work and ends < 10:
            thread = at_work.pop(ends % len(at_work))
            if (run := next(thread, None)) is not None:
                done[run] += 1
                at_work.append(thread)
    for thread in at_work:
        done.update(thread)
    assert set(done.values()) <= {1}
    assert len(done) == len(script)
