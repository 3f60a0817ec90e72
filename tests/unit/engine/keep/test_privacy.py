"""Before anything of a page is kept: fields that may not be are gone, and so is who was erased."""

import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from worker.config import Settings
from worker.connectors.contract import Gone, Page, Record, Rejected
from worker.engine.keep.digests import PrivacyKey, privacy_key
from worker.engine.keep.erasures import erasure_screen
from worker.engine.keep.fields import Rules
from worker.engine.keep.privacy import WITHHELD, FieldScreen, key_paths_at_fault, worded
from worker.errors import NeedsOperator, Transient

KEY = PrivacyKey(b"a key that is long enough")
OPTIONS = {"exclude": [["phone"]], "hash": [["email"]]}


def content_hash(raw: bytes) -> bytes:
    return sha256(raw).digest()[:16]


def screen() -> FieldScreen:
    return FieldScreen(Rules.of(exclude=[["phone"]], hashed=[["email"]]), KEY.of_value, content_hash)


def record(raw: bytes, **more: object) -> Record:
    return Record("7", raw, content_hash(raw), version=3, **more)  # type: ignore[arg-type]


def test_a_record_is_kept_without_its_fields_and_noticed_by_what_is_left() -> None:
    raw = b'{"id":7,"phone":"0123","email":"ann@example.org"}'
    (kept,) = screen()(Page([record(raw, updated_at=datetime(2026, 1, 1, tzinfo=UTC))])).records
    digest = KEY.of_value("ann@example.org")
    assert kept.raw == b'{"id":7,"email":"%s"}' % digest.encode()
    assert kept.digest == content_hash(kept.raw)
    assert (kept.key, kept.version, kept.updated_at) == ("7", 3, datetime(2026, 1, 1, tzinfo=UTC))


def test_a_change_in_a_field_that_is_left_out_is_no_change() -> None:
    first, second = (screen()(Page([record(b'{"id":7,"phone":"%d"}' % n)])).records[0].digest for n in (1, 2))
    assert first == second


def test_the_same_value_has_the_same_digest_in_every_stream_and_another_with_another_key() -> None:
    assert KEY.of_value("7") == KEY.of_value("7") != PrivacyKey(b"another key of some length").of_value("7")
    assert KEY.of_key(1, "7") != KEY.of_key(2, "7")
    assert KEY.of_value("7") != sha256(b"7").hexdigest()


def test_bytes_that_are_kept_beside_a_readable_copy_are_screened_too() -> None:
    (kept,) = screen()(Page([record(b'{"phone":"1"}', exact=b'{"phone":"1","x":"\\u0000"}')])).records
    assert (kept.raw, kept.exact) == (b"{}", b'{"x":"\\u0000"}')
    (kept,) = screen()(Page([record(b'{"phone":"1"}', exact=b'{"phone":"1')])).records
    assert (kept.raw, kept.exact) == (b"{}", None)


def test_a_record_that_was_set_aside_is_screened_and_its_reason_repeats_nothing() -> None:
    raw = b'{"id":7,"phone":"0123","at":"0123"}'
    (bad,) = screen()(Page([], [Rejected(raw, "bad_cursor", "'0123' is no time.", "7")])).rejected
    assert (bad.raw, bad.reason) == (b'{"id":7,"at":"0123"}', WITHHELD)
    (bad,) = screen()(Page([], [Rejected(raw, "bad_cursor", "'abc' is no time.", "7")])).rejected
    assert bad.reason == "'abc' is no time."


@pytest.mark.parametrize(
    "raw", [b'{"phone":"0123"', b'{"phone":"0123", "x":"\xff"}', b'{"phone":' + b"[" * 100_000]
)
def test_what_cant_be_read_is_set_aside_without_its_bytes(raw: bytes) -> None:
    (bad,) = screen()(Page([], [Rejected(raw, "not_json", "It says 0123.", None)])).rejected
    assert (bad.raw, bad.code, bad.reason) == (b"", "not_json", WITHHELD)


def test_what_an_unreadable_page_begins_with_is_not_repeated() -> None:
    error = Transient("malformed_page", "A list was expected; an object came: {'phone': '0123'}.")
    assert "0123" not in str(worded(error, OPTIONS, erased=False))
    assert worded(error, {}, erased=False) is error
    assert "0123" not in str(worded(error, {}, erased=True))
    other = Transient("timeout", "It took too long.")
    assert worded(other, OPTIONS, erased=True) is other


def test_the_key_of_a_record_may_not_be_touched() -> None:
    keys = [("site", "id"), ("number",)]
    options = {"exclude": [["site"], ["name"]], "hash": [["number"], ["site", "id", "below"]]}
    assert key_paths_at_fault(options, keys) == [("site",), ("number",)]


def erased(*keys: str, made_with: bytes = KEY.mark) -> list[dict[str, bytes]]:
    return [{"key_digest": KEY.of_key(1, key), "made_with": made_with} for key in keys]


def test_who_was_erased_comes_back_neither_as_a_record_nor_aside_nor_as_gone() -> None:
    page = Page(
        [Record("1", b"{}", b""), Record("2", b"{}", b"")],
        [Rejected(b"x", "c", "r", "1"), Rejected(b"y", "c", "r", "2"), Rejected(b"z", "c", "r", None)],
        gone=[Gone("1", "sweep"), Gone("2", "sweep")],
    )
    kept = erasure_screen(1, KEY, erased("1"))(page)
    assert [each.key for each in kept.records] == ["2"]
    assert [(each.key, each.raw) for each in kept.rejected] == [("2", b"y"), (None, b"")]
    assert [each.key for each in kept.gone] == ["2"]


def test_an_erasure_of_one_stream_says_nothing_about_another() -> None:
    page = Page([Record("1", b"{}", b"")])
    assert erasure_screen(2, KEY, erased("1"))(page).records


def test_with_another_key_the_run_stops_rather_than_let_them_come_back() -> None:
    with pytest.raises(NeedsOperator, match="can't be told") as refusal:
        erasure_screen(1, KEY, erased("1", made_with=b"another"))
    assert refusal.value.code == "privacy_key_changed"


def test_a_key_must_be_there_and_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NeedsOperator, match="no key"):
        privacy_key(Settings(privacy_key=None))
    monkeypatch.setenv("SHORT_PRIVACY_KEY", "short")
    with pytest.raises(NeedsOperator, match="shorter"):
        privacy_key(Settings(privacy_key="env://SHORT_PRIVACY_KEY"))


def test_words_about_a_record_are_looked_through_as_they_are_written() -> None:
    """In quotes, escaped and cut: `bad_cursor` says what it found instead of a time."""
    raw = json.dumps({"id": 7, "phone": "ü" * 50}).encode()
    words = ascii("ü" * 50)[:60] + "… is no time."
    (bad,) = screen()(Page([], [Rejected(raw, "bad_cursor", words, "7")])).rejected
    assert bad.reason == WITHHELD
