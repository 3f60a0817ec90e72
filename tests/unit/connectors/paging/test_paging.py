"""Which page comes next, and when is it the last?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.contract import Position, Response
from worker.connectors.paging.chained import ByCursor, ByLink, OnePage
from worker.connectors.paging.counted import ByNumber, ByOffset
from worker.connectors.paging.links import link_of, same_origin
from worker.connectors.paging.paging import Paging
from worker.connectors.reading.reader import Seen
from worker.errors import NeedsOperator, Transient

BASE = "https://erp.example.com/api"
OFFSET = ByOffset("offset", "limit", 10, stable=True)
NUMBER = ByNumber("page", "per_page", 10)
CURSOR = ByCursor("cursor", ("next",), "limit", 10)
LINK = ByLink(BASE, ("next",))


def answer(headers: dict[str, str] | None = None, url: str = BASE + "/sites") -> Response:
    return Response(200, headers or {}, b"", url)


def following(
    paging: Paging, position: Position | None, count: int, pointer: Any = None, **seen: Any
) -> Position | None:
    return paging.following(position, Seen(count, pointer, **seen), answer())


def test_one_page_is_all() -> None:
    assert OnePage().params(None) == ()
    assert following(OnePage(), None, 10_000) is None


def test_offsets_go_on_by_what_came_until_a_short_page() -> None:
    assert OFFSET.params(None) == (("offset", 0), ("limit", 10))
    second = following(OFFSET, None, 10)
    assert second is not None
    assert OFFSET.params(second) == (("offset", 10), ("limit", 10))
    assert following(OFFSET, second, 3) is None
    assert following(OFFSET, second, 0) is None


def test_a_page_shorter_than_asked_for_is_not_the_end_while_the_total_says_more() -> None:
    assert following(OFFSET, None, 5, total=12) == {"offset": 5}
    assert following(OFFSET, {"offset": 10}, 2, total=12) is None
    assert following(OFFSET, {"offset": 10}, 0, total=12) is None


def test_only_an_empty_page_is_the_end_where_the_manifest_says_so() -> None:
    wary = ByOffset("offset", "limit", 10, until_empty=True, stable=True)
    assert following(wary, None, 3) == {"offset": 3}
    assert following(wary, {"offset": 3}, 0) is None


def test_page_numbers_begin_where_the_manifest_says() -> None:
    from_zero = ByNumber("page", None, 10, first=0)
    assert NUMBER.params(None) == (("page", 1), ("per_page", 10))
    assert from_zero.params(None) == (("page", 0),)
    second = following(from_zero, None, 10)
    assert second is not None
    assert from_zero.params(second) == (("page", 1),)
    assert following(NUMBER, second, 9) is None
    assert following(NUMBER, None, 5, total=7) is not None


@pytest.mark.parametrize("pointer", [None, "", False])
def test_a_cursor_that_is_missing_null_or_empty_is_the_end(pointer: Any) -> None:
    assert following(CURSOR, None, 10, pointer) is None
    assert following(LINK, None, 10, pointer) is None


def test_a_cursor_is_handed_back_as_it_came() -> None:
    second = following(CURSOR, None, 10, "a/b+c=")
    assert second is not None
    assert CURSOR.params(None) == (("limit", 10),)
    assert CURSOR.params(second) == (("limit", 10), ("cursor", "a/b+c="))
    assert following(CURSOR, None, 10, 17) is not None


@pytest.mark.parametrize("pointer", [True, 1.5, [], {}])
def test_a_cursor_of_another_kind_is_a_malformed_page(pointer: Any) -> None:
    for paging in (CURSOR, LINK):
        with pytest.raises(Transient) as caught:
            following(paging, None, 10, pointer)
        assert caught.value.code == "malformed_page"


def test_a_page_that_leads_to_itself_is_stuck() -> None:
    second = following(CURSOR, None, 10, "a")
    with pytest.raises(Transient) as caught:
        following(CURSOR, second, 10, "a")
    assert caught.value.code == "paging_stuck"


@given(st.integers(0, 40), st.integers(1, 40))
def test_a_circle_of_any_length_ends(before: int, length: int) -> None:
    position: Position | None = None
    for step in range(10 * (before + length) + 10):
        name = step if step < before else before + (step - before) % length
        try:
            position = following(CURSOR, position, 10, f"c{name}")
        except Transient:
            return
    pytest.fail("went round for ever")


@given(st.integers(1, 300))
def test_pages_that_do_advance_are_never_stuck(count: int) -> None:
    position: Position | None = None
    for step in range(count):
        position = following(CURSOR, position, 10, f"c{step}")


def test_links_are_followed_as_they_are_and_relative_ones_from_the_page() -> None:
    second = following(LINK, None, 10, "sites?%24skip=10&x=a%2Bb")
    assert second is not None
    assert second["url"] == "https://erp.example.com/api/sites?%24skip=10&x=a%2Bb"
    assert LINK.params(second) == ()


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/api", "//evil.example.com/x", "http://erp.example.com:8080/api", "file:///etc/passwd",
        "https://erp.example.com@evil.example.com/", "https://user@erp.example.com/", "https://erp.example.com:444/api",
        "https://erp.example.com.evil.org/", "https://[::1/", "javascript:alert(1)", "https://erp.example.com\\@evil.org/",
    ],
)  # fmt: skip
def test_a_link_to_another_host_is_refused(url: str) -> None:
    with pytest.raises(NeedsOperator) as caught:
        following(LINK, None, 10, url)
    assert caught.value.code == "next_link_elsewhere"


def test_http_written_by_a_server_behind_tls_becomes_https() -> None:
    assert same_origin(BASE, "http://erp.example.com/api?x=1") == "https://erp.example.com/api?x=1"
    assert same_origin("http://localhost:80/", "http://localhost/x") == "http://localhost/x"


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://h/a?page=2>; rel="next"', "https://h/a?page=2"),
        ('<https://h/a?x=1,2>; rel="prev", <https://h/b>; rel="next"; title="x, y"', "https://h/b"),
        ("<https://h/b>; rel=next", "https://h/b"),
        ('<https://h/b>; rel="last next"', "https://h/b"),
        ('<https://h/b>; rel="nextish"', None),
        ('<https://h/b>; rel="prev"', None),
        ("", None),
        ("<" * 10_000, None),
    ],
)
def test_the_next_link_of_a_header_is_found(header: str, url: str | None) -> None:
    assert link_of({"link": header}) == url


def test_a_header_link_pages_without_a_path() -> None:
    paging = ByLink(BASE)
    page = answer({"link": f'<{BASE}/sites?page=2>; rel="next"'})
    found = paging.following(None, Seen(10), page)
    assert found is not None
    assert found["url"] == f"{BASE}/sites?page=2"
    assert paging.following(found, Seen(10), answer()) is None


def test_of_a_list_of_links_the_next_one_is_followed_and_what_is_no_list_of_links_is_refused() -> None:
    here = {"rel": "self", "href": BASE}
    found = following(LINK, None, 10, [here, {"rel": "next", "href": "/api/sites?offset=10"}])
    assert found is not None
    assert found["url"] == f"{BASE}/sites?offset=10"
    assert following(LINK, None, 10, [here]) is None
    assert following(LINK, None, 10, [{"relation": "next", "url": BASE}]) is not None
    for spelled in ("Next", "NEXT", "last next", ["next"], ["last", "Next"]):
        assert following(LINK, None, 10, [here, {"rel": spelled, "href": BASE}]) is not None
    for other in ("nextish", "prev", ["self"], None):
        assert following(LINK, None, 10, [here, {"rel": other, "href": BASE}]) is None
    for wrong in (["/api/sites"], [{"href": BASE}]):
        with pytest.raises(Transient):
            following(LINK, None, 10, wrong)
