"""Did somebody else change it meanwhile?"""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.etag import Stale, etag_of, matches, refuse_stale, tag

SHAPE = {"name": "plant", "streams": ["work_orders"]}


def asked(*tags: str) -> Request:
    return Request({"type": "http", "headers": [(b"if-match", tag.encode()) for tag in tags]})


def test_the_same_content_has_the_same_tag_in_whatever_order() -> None:
    assert etag_of({"a": 1, "b": 2}) == etag_of({"b": 2, "a": 1})
    assert etag_of({"a": 1}) != etag_of({"a": 2})


def test_an_answer_carries_the_tag_of_what_it_shows() -> None:
    response = Response()
    tag(response, SHAPE)
    assert response.headers["etag"] == etag_of(SHAPE)


@pytest.mark.parametrize(
    "given", [(), ("*",), (etag_of(SHAPE),), ('"other"', etag_of(SHAPE)), (f'"o", {etag_of(SHAPE)}',)]
)
def test_a_change_to_what_was_seen_is_let_through(given: tuple[str, ...]) -> None:
    refuse_stale(asked(*given), SHAPE)


@pytest.mark.parametrize("given", ['"other"', "", "W/" + etag_of(SHAPE), etag_of(SHAPE).strip('"')])
def test_a_change_to_anything_else_is_refused(given: str) -> None:
    with pytest.raises(Stale):
        refuse_stale(asked(given), SHAPE)


def test_a_weak_tag_is_good_for_reading_alone() -> None:
    assert matches("W/" + etag_of(SHAPE), etag_of(SHAPE), weak=True)
    assert not matches("W/" + etag_of(SHAPE), etag_of(SHAPE), weak=False)
