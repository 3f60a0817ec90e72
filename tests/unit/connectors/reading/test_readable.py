"""What Postgres can keep and not open gets a readable copy; its own bytes stay beside it, and its neighbours as they were."""

import json
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.connectors.reading.reader import Reader
from worker.connectors.reading.shape import Shape
from worker.connectors.reading.suspects import parse_carefully, readable

READER = Reader(Shape((), (("id",),)))


@pytest.mark.parametrize(
    ("sent", "copy"),
    [
        (rb'{"id":9,"x":"a\u0000b"}', rb'{"id":9,"x":"a\ufffdb"}'),
        (rb'{"id":9,"x":"\\\u0000"}', rb'{"id":9,"x":"\\\ufffd"}'),
        (rb'{"id":9,"a\u0000":1}', rb'{"id":9,"a\ufffd":1}'),
        (rb'{"id":9,"x":"\ud800"}', rb'{"id":9,"x":"\ufffd"}'),
        (rb'{"id":9,"x":"\uDC00\ud800\u0041"}', rb'{"id":9,"x":"\ufffd\ufffd\u0041"}'),
        (rb'{"id":9,"x":"\ud83d\ude00\ude00"}', rb'{"id":9,"x":"\ud83d\ude00\ufffd"}'),
        (b'{"id":9,"x":"\xed\xa0\x80"}', '{"id":9,"x":"\N{REPLACEMENT CHARACTER}"}'.encode()),
        (rb'{ "id": 9, "n": 1.50, "x":"\u0000" }', rb'{ "id": 9, "n": 1.50, "x":"\ufffd" }'),
    ],
)
def test_a_marker_stands_for_what_cannot_be_opened_and_the_bytes_as_sent_are_kept(
    sent: bytes, copy: bytes
) -> None:
    before, after = b'{"id":1, "x":"\\\\u0000"}', '{"id":2,"x":"ü😀"}'.encode()
    reading = READER.read(b"[" + before + b"," + sent + b"," + after + b"]")
    assert reading.rejected == []
    first, odd, last = reading.records
    assert (first.raw, first.exact, last.raw, last.exact) == (before, None, after, None)
    assert (odd.key, odd.raw, odd.exact) == ("9", copy, sent)


def test_the_digest_goes_by_the_bytes_as_sent() -> None:
    nul, half = READER.read(rb'[{"id":1,"x":"\u0000"},{"id":2,"x":"\ud800"}]').records
    assert nul.digest == xxhash.xxh3_128_digest(rb'{"id":1,"x":"\u0000"}')
    other = READER.read(rb'[{"id":1,"x":"\ud800"}]').records[0]
    assert (other.raw, other.digest == nul.digest) == (nul.raw, False), "a change would go unnoticed"
    assert half.exact is not None


TEXTS = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["\0", "\ud800", "\\u0000", "\\\0", "\udc00"]
)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, st.booleans())
@settings(max_examples=300)
def test_a_readable_copy_differs_in_what_cannot_be_opened_and_nowhere_else(value: Any, escaped: bool) -> None:
    raw = json.dumps({"id": 1, "v": value}, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    copy = readable(raw)
    data = json.loads(copy.decode())
    json.dumps(data, ensure_ascii=False).encode()
    assert data == _marked(parse_carefully(raw))
    assert (copy == raw) == (_marked(parse_carefully(raw)) == parse_carefully(raw))


def _marked(value: Any) -> Any:
    match value:
        case str():
            return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in value)
        case list():
            return [_marked(each) for each in value]
        case dict():
            return {_marked(name): _marked(each) for name, each in value.items()}
        case _:
            return value
