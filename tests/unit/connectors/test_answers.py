"""What a system means by its answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.answers import MAX_WORDS, failure_of_status, words_of
from worker.connectors.contract import Response
from worker.errors import NeedsOperator, Transient


def answer(body: Any, kind: str = "application/json") -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(400, {"content-type": kind}, content, "https://h/x")


@pytest.mark.parametrize("status", [200, 201, 204, 206])
def test_success_is_no_failure(status: int) -> None:
    assert failure_of_status(status) is None


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, NeedsOperator, "request_refused"), (404, NeedsOperator, "request_refused"), (405, NeedsOperator, "request_refused"),
        (422, NeedsOperator, "request_refused"), (410, NeedsOperator, "request_refused"), (401, NeedsOperator, "auth_refused"),
        (403, NeedsOperator, "auth_refused"), (301, NeedsOperator, "redirected"), (302, NeedsOperator, "redirected"),
        (408, Transient, "system_error"), (425, Transient, "system_error"), (500, Transient, "system_error"), (504, Transient, "timeout"), (413, NeedsOperator, "page_too_large"),
        (503, Transient, "system_error"), (599, Transient, "system_error"), (429, Transient, "throttled"),
    ],
)  # fmt: skip
def test_a_status_says_what_we_do_next(status: int, kind: type, code: str) -> None:
    failure = failure_of_status(status, "No such site.")
    assert isinstance(failure, kind)
    assert failure.code == code
    assert f"{status}: No such site." in failure.message


def test_a_manifest_may_say_that_a_status_means_something_else() -> None:
    overrides = {404: "transient", 400: "rate_limited", 500: "operator", 200: "operator"}
    assert [getattr(failure_of_status(status, overrides=overrides), "code", None) for status in overrides] == [
        "system_error", "throttled", "request_refused", "request_refused",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "No."}}, "No."),
        ({"error": {"code": "X", "message": {"lang": "en", "value": "Nein."}}}, "Nein."),
        ({"error": "No."}, "No."),
        ({"message": "No."}, "No."),
        ({"errors": [{"error": "bad", "fieldPath": None}]}, "bad"),
        ({"errors": ["bad", "worse"]}, "bad"),
        ({"detail": "Not found."}, "Not found."),
        ([], None),
        ({"error": []}, None),
        ({"error": {"n": 1}}, None),
        (b"plain words\n", "plain words"),
        (b"<html>oops</html>", None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_the_systems_own_words_are_found(body: Any, words: str | None) -> None:
    assert words_of(answer(body)) == words


def test_the_manifests_path_comes_before_the_usual_ones() -> None:
    body = {"message": "generic", "Error": {"reasonCode": "BMXAA1", "message": "Work order 7 is closed."}}
    assert words_of(answer(body), (("Error", "message"),)) == "Work order 7 is closed."


@given(st.text())
def test_words_are_printable_and_short_whatever_came(text: str) -> None:
    words = words_of(answer({"message": text})) or ""
    assert words.isprintable()
    assert len(words) <= MAX_WORDS


@given(st.binary())
def test_any_body_has_words_or_none(body: bytes) -> None:
    words = words_of(answer(body, "text/plain")) or ""
    assert words.isprintable()
