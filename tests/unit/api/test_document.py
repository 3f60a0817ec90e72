"""The API as a document, for those who make clients from it."""

from typing import Any
from unittest.mock import MagicMock

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from scheduler.api.app import create_app
from scheduler.api.document.openapi import document_of, operation_id
from scheduler.api.document.refusals import WORDS, implied
from scheduler.api.problems import status_of
from worker.db.database import Database

APP = create_app(MagicMock(spec=Database))
DOCUMENT = document_of(APP.routes)
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]


def test_it_is_a_valid_document_of_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert operation_id("get", "/v1/runs/{run_id}") == "get_runs_run_id"


@pytest.mark.parametrize(("where", "operation"), OPERATIONS, ids=[where for where, _ in OPERATIONS])
def test_every_answer_is_described(where: str, operation: dict[str, Any]) -> None:
    assert operation["description"], "a docstring says what it does"
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        if status in {"204", "304"}:
            assert not content
        elif status.startswith("2"):
            [(kind, found)] = content.items()
            if kind == "application/json":
                assert "$ref" in str(found["schema"]), (
                    f"{where} answers {status} with something that has no name"
                )
        else:
            assert answer["description"]
            assert content


@pytest.mark.parametrize(("where", "operation"), OPERATIONS, ids=[where for where, _ in OPERATIONS])
def test_what_goes_for_all_is_said_of_each(where: str, operation: dict[str, Any]) -> None:
    method, path = where.split()
    assert set(map(str, implied(method.lower(), path))) <= operation["responses"].keys()
    named = {parameter["name"] for parameter in operation.get("parameters", ())}
    if path.startswith("/v1/"):
        assert ("Idempotency-Key" in named) == (method == "POST")


def test_every_status_that_an_error_has_is_in_the_table() -> None:
    from scheduler.api import problems  # noqa: PLC0415

    used = {*problems._STATUSES.values(), *(status for _, status in problems._KINDS), *problems._CODES}
    assert used - {405} <= WORDS.keys()
    assert status_of
