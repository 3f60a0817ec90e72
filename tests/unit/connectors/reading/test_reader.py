"""Pages become records: the bytes as sent, one bad record never stopping the others."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.connectors.reading.reader import Reader
from worker.connectors.reading.shape import DeletedMark, Shape, TimeField
from worker.errors import BadRecord, Transient

UPDATED = TimeField((("updated_at",),))
SHAPE = Shape(
    records=("data",),
    key=(("id",),),
    cursor=UPDATED,
    updated_at=UPDATED,
    version=("updated_at",),
    deleted=DeletedMark(("deleted_at",)),
    total=("total",),
)
READER = Reader(SHAPE, ("next",))
DEEP = b"[" * 5000 + b"]" * 5000


def page(*records: bytes, rest: bytes = b'"next":"c2","total":7') -> bytes:
    return b'{"data":[' + b",".join(records) + b"]," + rest + b"}"


def test_a_record_keeps_its_bytes_and_gives_its_fields() -> None:
    raw = b'{ "id" : 7, "updated_at":"2026-01-31T08:00:00.000001Z", "n": 1.50, "deleted_at": null}'
    reading = READER.read(page(raw))
    (record,) = reading.records
    moment = datetime(2026, 1, 31, 8, microsecond=1, tzinfo=UTC)
    assert (record.key, record.raw, record.cursor, record.updated_at) == ("7", raw, moment, moment)
    assert record.version == 1_769_846_400_000_001
    assert record.digest == xxhash.xxh3_128_digest(raw)
    assert not record.deleted
    assert (reading.seen.count, reading.seen.pointer, reading.seen.total) == (1, "c2", 7)


def test_a_byte_order_mark_before_the_page_is_no_part_of_it() -> None:
    assert [record.raw for record in READER.read(b"\xef\xbb\xbf" + page(b'{"id":1}')).records] == [
        b'{"id":1}'
    ]


def test_records_may_lie_deeper_or_be_the_whole_answer() -> None:
    deeper = Reader(Shape(("d", "results"), (("meta", "uri"),)), ("d", "__next"))
    reading = deeper.read(b'{"d":{"results":[{"meta":{"uri":"a"}}],"__next":"x"}}')
    assert [record.key for record in reading.records] == ["a"]
    assert reading.seen.pointer == "x"
    bare = Reader(Shape((), (("id",),)))
    assert [record.key for record in bare.read(b'[{"id":1},{"id":2}]').records] == ["1", "2"]


def test_a_composite_key_is_read_from_all_its_fields() -> None:
    reader = Reader(Shape((), (("wonum",), ("site", "id"))))
    assert reader.read(b'[{"wonum":"1001","site":{"id":3}}]').records[0].key == '["1001",3]'


def test_a_field_may_serve_as_key_and_as_cursor() -> None:
    reader = Reader(Shape((), (("id",),), cursor=TimeField((("id",),), "number"), version=("id",)))
    (record,) = reader.read(b'[{"id":12}]').records
    assert (record.key, record.cursor, record.version) == ("12", 12, 12)


def test_the_first_date_that_is_set_is_the_cursor() -> None:
    both = TimeField((("write_date",), ("create_date",)), "typed_json")
    reader = Reader(Shape((), (("id",),), cursor=both))
    made = b'{"__class__":"datetime","year":2026,"month":1,"day":2,"hour":3,"minute":4,"second":5,"microsecond":6}'
    first, second, third = reader.read(
        b'[{"id":1,"write_date":null,"create_date":'
        + made
        + b'},{"id":2,"write_date":'
        + made
        + b'},{"id":3}]'
    ).records
    assert first.cursor == second.cursor == datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert third.cursor is None


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b'{"id":null}', "bad_key"), (b"{}", "bad_key"), (b'{"id":1.5}', "bad_key"), (b'{"id":true}', "bad_key"),
        (b'{"id":""}', "bad_key"), (b'{"id":"' + b"x" * 1001 + b'"}', "bad_key"), (b'{"id":' + b"9" * 500 + b"}", "bad_key"),
        (b'{"id":9,"updated_at":"yesterday"}', "bad_cursor"), (b'{"id":9,"updated_at":5}', "bad_cursor"),
        (b'{"id":9,"x":"\xff"}', "not_utf8"), (b'{"id":"9\\u0000"}', "bad_key"), (b'{"id":"9\\ud800"}', "bad_key"),
        (b'{"id":9,"updated_at":"2026\\u0000"}', "bad_cursor"),
        (b'{"id":9,"x":"\x00"}', "not_json"), (b'{"id":9,"x":NaN}', "not_json"), (b'{"id":9,"x":01}', "not_json"),
        (b'{"id":9,"x":"\\q"}', "not_json"), (b'{"id":9,}', "not_json"), (b'{"id":9,"x":' + DEEP + b"}", "nested_too_deeply"),
        (b"7", "not_an_object"), (b"null", "not_an_object"), (b'["id"]', "not_an_object"), (b'"id"', "not_an_object"),
    ],
)  # fmt: skip
def test_a_bad_record_is_set_aside_with_its_reason_and_the_page_goes_on(bad: bytes, code: str) -> None:
    good = [b'{"id":1,"x":"\\\\u0000"}', '{"id":2,"x":"ü😀"}'.encode()]
    reading = READER.read(page(good[0], bad, good[1]))
    assert [record.raw for record in reading.records] == good
    (rejected,) = reading.rejected
    assert (rejected.code, rejected.raw) == (code, bad)
    assert rejected.reason.endswith(".")
    assert len(rejected.reason) < 200
    assert (reading.seen.count, reading.seen.pointer) == (3, "c2")


def test_a_rejected_record_has_its_key_where_that_can_be_read() -> None:
    assert READER.read(page(b'{"id":9,"updated_at":"yesterday"}')).rejected[0].key == "9"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"), (b"  \n", "empty"), (b"<html><h1>Sign in</h1>", "HTML came: <html><h1>Sign in</h1>"),
        (b'{"error":"no"}', "an object with error came"), (b"[]", "a list came"), (b"null", "null came"),
        (b'{"data":null}', "null came"), (b'{"data":{}}', "an object came"), (b'{"data":"x"}', "a text came"),
        (b'{"data":[{"id":1}', "not JSON"), (b"\x00\x01", "not JSON"), (b'{"data":[1}]', "not JSON"),
        (b"\xff\xfe", "not JSON"), (DEEP, "not JSON"),
    ],
)  # fmt: skip
def test_a_page_that_is_none_says_what_came_instead(body: bytes, words: str) -> None:
    with pytest.raises(Transient) as caught:
        READER.read(body)
    assert caught.value.code == "malformed_page"
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


def test_of_two_records_with_one_key_the_greatest_version_stays_and_the_last_of_equals() -> None:
    def record(name: str, day: int) -> bytes:
        return b'{"id":"%s","updated_at":"2026-01-%02dT00:00:00Z","n":%d}' % (name.encode(), day, len(seen))

    seen: list[bytes] = []
    for name, day in (("a", 2), ("b", 1), ("a", 1), ("b", 3), ("a", 2)):
        seen.append(record(name, day))
    reading = READER.read(page(*seen))
    assert {one.key: one.raw for one in reading.records} == {"a": seen[4], "b": seen[3]}
    assert reading.seen.count == 5


def test_volatile_fields_and_the_order_of_fields_leave_the_digest_alone() -> None:
    reader = Reader(Shape((), (("id",),), volatile=(("seen",), ("meta", "asked_at"))))

    def digest(record: bytes) -> bytes:
        return reader.read(b"[" + record + b"]").records[0].digest

    first = digest(b'{"id":1,"seen":5,"meta":{"asked_at":1,"n":1.0}}')
    assert digest(b'{"meta":{"n":1.0,"asked_at":2},"id":1,"seen":6}') == first
    assert digest(b'{"id":1,"meta":{"n":1.0}}') == first
    assert digest(b'{"id":1,"seen":5,"meta":{"asked_at":1,"n":2.0}}') != first
    assert digest(b'{"id":1,"meta":{"n":10000000000000000000000000001}}') != digest(
        b'{"id":1,"meta":{"n":10000000000000000000000000002}}'
    )


@pytest.mark.parametrize(
    ("mark", "value", "gone"),
    [
        (DeletedMark(("d",)), b"null", False), (DeletedMark(("d",)), b'""', False), (DeletedMark(("d",)), b"0", False),
        (DeletedMark(("d",)), b"true", True), (DeletedMark(("d",)), b'"2026"', True),
        (DeletedMark(("d",), (False,)), b"false", True), (DeletedMark(("d",), (False,)), b"0", False),
        (DeletedMark(("d",), ("CAN", 2)), b"2", True), (DeletedMark(("d",), ("CAN", 2)), b'"2"', False),
        (DeletedMark(("d",), (1,)), b"true", False),
    ],
)  # fmt: skip
def test_a_record_says_itself_that_it_is_gone(mark: DeletedMark, value: bytes, gone: bool) -> None:
    reader = Reader(Shape((), (("id",),), deleted=mark))
    assert reader.read(b'[{"id":1,"d":' + value + b"}]").records[0].deleted is gone


@pytest.mark.parametrize("pointer", [b"null", b'""', b"false", b"17", b'"x"'])
def test_the_pointer_to_the_next_page_is_decoded(pointer: bytes) -> None:
    assert READER.read(page(rest=b'"next":' + pointer)).seen.pointer == json.loads(pointer)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.sampled_from(
        ["2026-01-31T08:00:00Z", "2026-01-31", "0000-00-00", "9999-12-31T23:59:59-05:00", "\0", "\ud800"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
RECORDS = st.dictionaries(st.sampled_from(["id", "updated_at", "deleted_at", "x"]), VALUES) | VALUES


@given(st.lists(RECORDS, max_size=5))
@settings(max_examples=300)
def test_the_fast_way_takes_and_gives_exactly_what_the_careful_way_does(records: list[Any]) -> None:
    raws = [json.dumps(record).encode() for record in records]
    reading = READER.read(page(*raws))
    fields = READER._fields
    taken: dict[str, Any] = {}
    refused = []
    for raw in raws:
        try:
            record = fields.take_carefully(raw)
        except BadRecord as exc:
            refused.append((raw, exc.code))
            continue
        if record.key not in taken or (taken[record.key].version or 0) <= (record.version or 0):
            taken[record.key] = record
    by_key = {record.key: record for record in reading.records}
    assert [(bad.raw, bad.code) for bad in reading.rejected] == refused
    assert by_key.keys() == taken.keys()
    if all(record.version is not None for record in taken.values()):
        assert by_key == taken


@given(
    st.binary(max_size=200)
    | st.from_regex(rb'\{"data":\[[\[\]{}",:0-9a-z\\\xff]{0,60}\],?"?', fullmatch=True)
)
@settings(max_examples=500)
def test_any_bytes_are_a_page_or_a_malformed_one(body: bytes) -> None:
    code = None
    try:
        READER.read(body)
    except Transient as exc:
        code = exc.code
    assert code in {None, "malformed_page"}


_MOMENTS = (
    "2026-01-31T08:00:00.000001Z",
    "2026-01-31T10:00:00+02:00",
    "2026-01-31T08:00:00",
    "",
    "0000-00-00",
    5,
    None,
)
_FIELDS = st.fixed_dictionaries(
    {
        "id": st.one_of(
            st.integers(-(2**70), 2**70), st.sampled_from(["a", "ä", "", "a\0", "7", None, True, 1.5])
        )
    },
    optional={
        "updated_at": st.sampled_from(_MOMENTS),
        "seq": st.one_of(st.integers(-(2**65), 2**65), st.none(), st.just("12")),
        "gone": st.sampled_from([None, True, False, "yes", 0, "X"]),
        "site": st.one_of(st.none(), st.fixed_dictionaries({"id": st.integers(0, 3)}), st.just(4)),
    },
)
_PLAIN = st.builds(
    lambda number: {"id": number, "updated_at": _MOMENTS[0], "seq": number, "gone": None, "site": {"id": 1}},
    st.integers(0, 50),
)
_SHAPES = [
    SHAPE,
    Shape(("data",), (("id",),), cursor=TimeField((("seq",),), "number"), version=("seq",)),
    Shape(
        ("data",), (("id",), ("site", "id")), cursor=UPDATED, deleted=DeletedMark(("gone",), ("X", "yes", 0))
    ),
    Shape(
        ("data",),
        (("id",),),
        cursor=TimeField((("updated_at",), ("seq",)), "iso8601"),
        version=("updated_at",),
    ),
    Shape(("data",), (("id",),), updated_at=UPDATED, version=("seq",), volatile=(("seq",), ("site", "id"))),
]


@pytest.mark.parametrize("shape", _SHAPES)
@given(records=st.lists(st.one_of(_PLAIN, _FIELDS), max_size=8), plain=st.lists(_PLAIN, max_size=8))
@settings(max_examples=60)
def test_a_page_read_as_a_whole_says_what_its_records_say_one_by_one(
    shape: Shape, records: list[dict[str, Any]], plain: list[dict[str, Any]]
) -> None:
    together, apart = Reader(shape), Reader(shape)
    apart._columns = None
    for found in (plain, records):
        body = page(*(json.dumps(record).encode() for record in found))
        assert together.read(body) == apart.read(body)


def test_a_plain_page_is_read_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the fast way could be broken without anything else being wrong."""
    reader = Reader(SHAPE)
    monkeypatch.setattr(reader, "_one_by_one", None)
    raws = [f'{{"id":{number},"updated_at":"{_MOMENTS[0]}"}}'.encode() for number in range(3)]
    assert [record.raw for record in reader.read(page(*raws)).records] == raws


def test_the_hash_of_a_record_with_volatile_fields_stays_what_it_was() -> None:
    """Another hash for the same content would have every record written anew."""
    reader = Reader(Shape((), (("id",),), volatile=(("seen",), ("meta", "etag"))))
    (record,) = reader.read(b'[{"seen":1,"meta":{"etag":"x","n":1.50},"id": 7,"a\\u00e4":[ 1]}]').records
    assert record.digest == xxhash.xxh3_128_digest(b'{"a\\u00e4":[ 1],"id":7,"meta":{"n":1.50}}')


def test_a_record_without_a_cursor_is_taken_unless_the_manifest_rejects_it() -> None:
    body = b'[{"id":1,"updated_at":null},{"id":2,"updated_at":"2026-01-31T08:00:00Z"}]'
    assert len(Reader(Shape((), (("id",),), cursor=UPDATED)).read(body).records) == 2
    strict = Reader(Shape((), (("id",),), cursor=UPDATED, needs_cursor=True)).read(body)
    assert [record.key for record in strict.records] == ["2"]
    assert [(bad.key, bad.code) for bad in strict.rejected] == [("1", "no_cursor")]


@pytest.mark.parametrize("token", [b'"x/y"', b"17", b"null", b'""'])
def test_the_token_of_the_next_window_is_decoded(token: bytes) -> None:
    reader = Reader(Shape(("data",), (("id",),), token=("delta",)))
    assert reader.read(b'{"data":[],"delta":' + token + b"}").seen.token == json.loads(token)
    assert reader.read(b'{"data":[]}').seen.token is None


def test_a_version_that_is_a_local_time_is_read_in_its_zone_alone_and_as_a_page() -> None:
    """Else a page with one bad record would seem two hours newer than the same page without it."""
    local = TimeField((("updated_at",),), "datetime", ZoneInfo("Europe/Berlin"))
    reader = Reader(Shape((), (("id",),), cursor=local, version=("updated_at",)))
    good = b'{"id":1,"updated_at":"2026-07-01 10:00:00"}'
    (together,) = reader.read(b"[" + good + b"]").records
    (alone,) = reader.read(b"[" + good + b',{"id":null}]').records
    assert together.version == alone.version == 1_782_892_800_000_000


def test_an_hour_that_comes_twice_is_no_version() -> None:
    """The second 2:30 is later than the first, and than 2:50 before it: only the order of looks can tell."""
    local = TimeField((("updated_at",),), "datetime", ZoneInfo("Europe/Berlin"))
    reader = Reader(Shape((), (("id",),), cursor=local, version=("updated_at",)))
    times = [b"2026-10-25 01:59:59", b"2026-10-25 02:30:00", b"2026-10-25 03:00:00"]
    body = b",".join(b'{"id":%d,"updated_at":"%s"}' % (number, time) for number, time in enumerate(times))
    for page_of in (b"[" + body + b"]", b"[" + body + b',{"id":null}]'):
        assert [record.version is None for record in reader.read(page_of).records] == [False, True, False]


def test_values_that_mean_nothing_are_null_in_times_and_versions_alone() -> None:
    moment = TimeField((("written",),))
    shape = Shape(
        ("rows",),
        (("id",),),
        cursor=moment,
        updated_at=TimeField((("ref", "1"),)),
        version=("written",),
        deleted=DeletedMark(("active",), (False,)),
        empty=(False, "", "1900-01-01T12:00:00Z"),
    )
    rows = [
        b'{"id":1,"written":"2026-01-31T08:00:00Z","ref":[0,"2026-01-31T08:00:00Z"],"active":true}',
        b'{"id":2,"written":false,"ref":false,"active":false}',
        b'{"id":3,"written":"1900-01-01T12:00:00Z","ref":[0,""],"active":true}',
    ]
    for count in (1, 3):  # a page of the first alone goes the fastest way
        body = b'{"rows":[' + b",".join(rows[:count]) + b"]}"
        records = Reader(shape).read(body).records
        assert records == Reader(shape).take(rows[:count]).records
        assert [record.cursor is None for record in records] == [False, True, True][:count]
        assert [record.version is None for record in records] == [False, True, True][:count]
        assert [record.updated_at is None for record in records] == [False, True, True][:count]
        assert [record.deleted for record in records] == [False, True, False][:count]


def test_nothing_is_not_zero() -> None:
    number = Shape((), (("id",),), cursor=TimeField((("at",),), "number"), empty=(False,))
    assert [
        record.cursor for record in Reader(number).read(b'[{"id":1,"at":0},{"id":2,"at":false}]').records
    ] == [0, None]
