"""A body is complete and bounded, whatever it unpacks to."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import NeedsOperator, Transient
from worker.http.body import STEP, pieces, read_body


def cut(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def bare_deflate(raw: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(raw) + packer.flush()


@given(
    body=st.binary(max_size=5000),
    size=st.integers(1, 6000),
    way=st.sampled_from(["", "gzip", "two", "zlib", "bare"]),
)
def test_a_body_comes_out_as_it_went_in_however_it_is_cut(body: bytes, size: int, way: str) -> None:
    raw = {
        "": body,
        "gzip": gzip.compress(body),
        "two": gzip.compress(body[:7]) + gzip.compress(body[7:]),
        "zlib": zlib.compress(body),
        "bare": bare_deflate(body),
    }[way]
    encoding = {"": "", "gzip": "gzip", "two": "X-GZIP", "zlib": "deflate", "bare": "deflate, identity"}[way]

    assert read_body(cut(raw, size), encoding, 5000, "it") == body


def test_the_bound_is_exact() -> None:
    assert len(read_body([b"x" * 60, b"x" * 40], "", 100, "it")) == 100
    with pytest.raises(NeedsOperator) as caught:
        read_body([b"x" * 60, b"x" * 41], "", 100, "The answer of h to GET /a")
    assert caught.value.code == "page_too_large"
    assert "The answer of h to GET /a is larger than 100 bytes" in str(caught.value)


def test_an_endless_answer_is_cut_off_while_it_streams() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1000

    with pytest.raises(NeedsOperator):
        read_body(endless(), "", 10_000, "it")
    assert taken == 11


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_not_unpacked(encoding: str) -> None:
    """200 MB in 200 kB: refused with little more memory than the bound."""
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join([*(packer.compress(b"\0" * 1_000_000) for _ in range(200)), packer.flush()])
    tracemalloc.start()
    try:
        with pytest.raises(NeedsOperator):
            read_body([bomb], encoding, 1_000_000, "it")
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (gzip.compress(b"hello" * 100)[:-5], "gzip"),
        (gzip.compress(b"hello" * 100)[:20], "gzip"),
        (b"this is no gzip", "gzip"),
        (gzip.compress(b"hello") + b"\1garbage", "gzip"),
        (b"\xff" * 50, "deflate"),
        (b"{}", "br"),
        (gzip.compress(gzip.compress(b"x")), "gzip, gzip"),
    ],
    # Of bytes, pytest would make names that hold gzip's clock: no two processes would collect the same tests.
    ids=["cut", "cut-early", "no-gzip", "trailing", "no-deflate", "unasked-for", "twice"],
)
def test_a_body_that_is_cut_broken_or_unasked_for_is_no_answer(raw: bytes, encoding: str) -> None:
    with pytest.raises(Transient) as caught:
        read_body(cut(raw, 7), encoding, 5000, "it")

    assert caught.value.code == "broken_answer"


@pytest.mark.parametrize("size", [STEP - 1, STEP, STEP + 1, 3 * STEP, 3 * STEP + 7])
def test_its_size_is_told_before_more_than_a_step_of_it_is_unpacked(size: int) -> None:
    body = bytes(size)
    told: list[int] = []
    assert read_body(pieces(gzip.compress(body)), "gzip", 10 * STEP, "it", told.append) == body
    assert told[-1] == size
    assert all(after - before <= STEP for before, after in pairwise([0, *told]))


def test_who_is_told_the_size_may_end_it() -> None:
    def no(size: int) -> None:
        if size > STEP:
            raise RuntimeError("no room")

    with pytest.raises(RuntimeError):
        read_body(pieces(gzip.compress(bytes(50 * STEP))), "gzip", 100 * STEP, "it", no)
