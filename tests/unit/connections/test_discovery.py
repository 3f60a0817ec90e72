"""What a source asks for to say what there is goes through a connection's sender; what it can do without, it may."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import yaml

from scheduler.cli.commands.consent.discovering import snippet
from scheduler.connections.trial.discovery import Offered, chosen, discoverer
from scheduler.connections.trial.report import NOTHING_ASKED, Report
from scheduler.connections.trial.trial import Candidate, try_connection
from worker.connectors.contract import Discovery, Found, Request, Response
from worker.connectors.protocols.rest import RestSource
from worker.connectors.registry import Registry
from worker.errors import HeadraceError, InvalidInput, NeedsOperator, RateLimited, Transient
from worker.http.proof import LoginRefused
from worker.http.sender import Sender

PARTS = Found("parts", "Parts", {"path": "/parts"}, key=("id",), fields=("id", "name"))
REGISTRY = Registry.load()


class Answers:
    """Answers by path, or raises what stands there."""

    def __init__(self, answers: Mapping[str, bytes | HeadraceError]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def send(self, _: object, request: Request) -> Response:
        self.asked.append(request.url)
        found = self.answers[request.url]
        if isinstance(found, HeadraceError):
            raise found
        return Response(200, {}, found, request.url)


def asking(*paths: str) -> Any:
    """A source's discovery: asks for each path and finds what answers; one that is forbidden is left out."""

    def flow(_: RestSource) -> Discovery:
        found = []
        for path in paths:
            try:
                response = yield Request("GET", path)
            except NeedsOperator:
                continue
            found.append(Found(response.body.decode(), path, {"path": path}))
        return found

    return flow


def asked(answers: Answers, described: Mapping[str, Any] | None = None, **options: Any) -> list[Offered]:
    settings = {"base_url": "https://api.example.com", **({"describe": described} if described else {})}
    candidate = Candidate("rest", "live", settings, {}, {})
    return discoverer(REGISTRY, candidate).ask(cast("Sender", answers), "r", **options)


def test_all_that_answers_is_found_and_what_is_connected_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RestSource, "discover", asking("/b", "/no", "/a"))
    answers = Answers({"/a": b"parts", "/b": b"sites", "/no": NeedsOperator("auth_refused", "No.")})
    described = {"streams": {"parts": {"path": "/parts", "records": "", "key": "id"}}}
    found = asked(answers, described)
    assert [(each.found.name, each.connected) for each in found] == [("parts", True), ("sites", False)]
    assert answers.asked == ["/b", "/no", "/a"]


@pytest.mark.parametrize(
    "refusal",
    [
        LoginRefused("auth_refused", "Wrong password."),
        RateLimited("rate_limited", "Later.", resume_at=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_refused_log_in_and_a_limit_end_it(monkeypatch: pytest.MonkeyPatch, refusal: HeadraceError) -> None:
    monkeypatch.setattr(RestSource, "discover", asking("/a", "/b"))
    answers = Answers({"/a": refusal, "/b": b"parts"})
    with pytest.raises(type(refusal)):
        asked(answers)
    assert answers.asked == ["/a"]


def test_a_system_that_goes_on_for_too_long_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RestSource, "discover", asking(*["/a"] * 1000))
    times = iter(range(0, 10_000, 7))
    answers = Answers({"/a": b"parts"})
    with pytest.raises(Transient):
        asked(answers, clock=lambda: float(next(times)))
    assert len(answers.asked) < 10


def test_a_system_that_has_no_way_to_say_is_not_asked() -> None:
    with pytest.raises(InvalidInput) as caught:
        asked(Answers({}))
    assert caught.value.code == "no_discovery"


def test_streams_are_chosen_by_name_or_all_that_are_not_connected() -> None:
    parts, sites = Offered(PARTS, connected=True), Offered(Found("sites", "Sites", {}), connected=False)
    assert chosen([parts, sites], []) == [sites]
    assert chosen([parts, sites], ["parts"]) == [parts]
    with pytest.raises(InvalidInput, match="site"):
        chosen([parts, sites], ["site"])


def test_what_is_written_reads_as_what_was_found_whatever_the_system_calls_it() -> None:
    describe = {"path": "/Party\u2028s\x85('x')", "records": "value", "key": ["a: b", "no"], "size": 5}
    odd = Found("parts", "x", describe, remarks=("No\nkey: is\u2028sure",))
    text = snippet("Plant\nnorth", [Offered(odd, connected=False)])
    assert yaml.safe_load(text) == {"describe": {"streams": {"parts": describe}}}
    assert "# No key: is sure" in text


def test_a_connection_without_streams_shows_by_what_there_is_that_it_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    candidate = Candidate("rest", "live", {"base_url": "https://api.example.com"}, {}, {})

    def tried(answers: Answers) -> Report:
        return try_connection(cast("Sender", answers), REGISTRY, candidate, request_id="r")

    report = tried(Answers({}))
    assert (report.reached, report.summary()) == (False, NOTHING_ASKED)
    monkeypatch.setattr(RestSource, "discover", asking("/a"))
    report = tried(Answers({"/a": b"parts"}))
    assert (report.reached, report.fine) == (True, True)
    assert report.summary() == "It can be reached. It has no streams yet."
    report = tried(Answers({"/a": Transient("unreachable", "It isn't there.")}))
    assert (report.reached, report.summary()) == (False, "It can't be reached as it is set.")
