"""A system with sessions, which says in a 200 that one is over: a connector that heeds it passes, one that doesn't is caught."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
from connectors.conformance.test_mutants import plain, tried
from connectors.doubles.acumatica import Acumatica
from connectors.doubles.plain import Plain

from scheduler.connectors.check import Answer, Call, Complaint
from scheduler.connectors.check.bench import Subject, bench
from worker.connectors.manifest.model import load_manifest
from worker.connectors.registry.places import CATALOG

pytestmark = pytest.mark.integration

OVER = {"data": [], "error": {"code": 1401, "words": "Session expired."}}
AUTH = {
    "login": {
        "request": {"path": "/session", "json": {"key": "{token}"}},
        "take": {"session": "session"},
        "headers": {"X-Session": "{session}"},
    }
}
RULES = [
    {"path": "error.code", "equals": 1401, "kind": "auth_expired"},
    {"path": "error", "kind": "operator"},
]


class Sessions(Plain):
    """The plain system behind a log-in."""

    secrets: ClassVar[Mapping[str, str]] = {"token": "key-of-the-sessions"}

    def is_login(self, call: Call) -> bool:
        return call.path == "/session"

    def admits(self, call: Call) -> bool:
        return self.knows(call.headers.get("x-session"))

    def answer(self, call: Call) -> Answer:
        if not self.is_login(call):
            return super().answer(call)
        good = call.json == {"key": self.secrets["token"]}
        return Answer(body={"session": self.issue()}) if good else Answer(403, {"error": {"words": "No."}})

    def refused(self) -> Answer:
        return Answer(body=OVER)

    def complaints(self) -> Sequence[Complaint]:
        return [Complaint("the word of an expired session", Answer(body=OVER), "auth_expired")]


def sessions(**changes: Any) -> Subject:
    return Subject(plain(auth=AUTH, **changes).manifest, Sessions)


def test_a_session_that_is_over_in_words_is_opened_anew() -> None:
    found = tried("login", "by_cursor", sessions(errors={"rules": RULES}))
    assert found.mark == "passed", found
    assert "so it is after the word of an expired session" in found.words


def test_a_connector_that_takes_those_words_for_a_refusal_is_caught() -> None:
    assert tried("login", "by_cursor", sessions(errors={"rules": RULES[1:]})).mark == "failed"


def test_as_many_log_ins_as_sessions_are_no_broken_promise() -> None:
    assert tried("requests", "by_cursor", sessions(errors={"rules": RULES})).mark == "passed"


def test_a_session_is_given_back_when_its_process_ends_in_order() -> None:
    """Acumatica's licence has room for two or a few."""
    subject = Subject(load_manifest(CATALOG / "acumatica" / "manifest.yaml"), Acumatica)
    with bench(subject, "vendors") as there:
        there.fill(1)
        copy = there.copy()
        copy.load()
        (session,) = {each.call.cookies[".ASPXAUTH"] for each in there.double.asked()} & {
            *there.double.issued[-1:]
        }
        assert there.double.knows(session)
        copy.account.sender.close()
        assert not there.double.knows(session)
