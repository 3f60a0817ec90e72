"""How often may strangers make us look?"""

from structlog.testing import capture_logs

from scheduler.api.ready import Readiness
from scheduler.health.looks import Finding


class _Looker:
    def __init__(self) -> None:
        self.looks = 0
        self.found: list[Finding] = []

    def __call__(self) -> list[Finding]:
        self.looks += 1
        return self.found


def test_within_a_second_the_last_answer_stands() -> None:
    now, look = [100.0], _Looker()
    ready = Readiness(look, clock=lambda: now[0])
    ready.reasons()
    now[0] += 0.9
    ready.reasons()
    assert look.looks == 1
    now[0] += 0.2
    ready.reasons()
    assert look.looks == 2


def test_reasons_name_the_check_and_not_the_place() -> None:
    look = _Looker()
    look.found = [Finding("database", "fail", "connection to server at 10.0.0.7, user headrace failed")]
    reasons = Readiness(look).reasons()
    assert reasons == [{"check": "database", "detail": "The database can't be used."}]


def test_that_the_last_beat_fell_silent_is_logged_once_and_again_after_it_came_back() -> None:
    now, look = [100.0], _Looker()
    ready = Readiness(look, clock=lambda: now[0])
    silent = [Finding("beat", "fail", "No beat is at work; silent: here:7 (40s).")]
    with capture_logs() as lines:
        for found in (silent, silent, [], silent):
            look.found = found
            ready.reasons()
            now[0] += 2
    assert [line["event"] for line in lines] == ["beat_silent", "beat_silent"]
