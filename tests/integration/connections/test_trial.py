"""A connection is tried out against a real system: what is found, and what is said of what is wrong."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr
from servers.installation.commands import Command
from servers.rows.connection_rows import REGISTRY, STREAMS
from servers.systems.bench import Bench

from scheduler.connections.trial.report import Report
from scheduler.connections.trial.trial import Candidate, trial_sender, try_connection
from worker.config import load_settings

pytestmark = pytest.mark.integration


def tried(bench: Bench, **fields: object) -> Report:
    settings = load_settings(
        database_url=SecretStr(bench.services.settings.require_database_url()),
        broker_url=SecretStr(bench.services.settings.require_broker_url()),
    )
    candidate = Candidate(
        **{  # type: ignore[arg-type]
            "system": "demo",
            "environment": "live",
            "settings": {"base_url": bench.demo.base_url},
            "secrets": {"token": f"file://{bench.demo.token_file}"},
            "network": {},
            **fields,
        }
    )
    with trial_sender(bench.services.database, settings) as sender:
        return try_connection(sender, REGISTRY, candidate, request_id="trial")


def test_a_sound_connection_shows_all_its_streams_for_a_request_each(bench: Bench) -> None:
    before = len(bench.demo.arrivals())
    report = tried(bench)
    assert report.fine, report
    assert len(report.found) == STREAMS
    assert len(bench.demo.arrivals()) - before == STREAMS
    assert report.summary() == f"All {STREAMS} streams can be read."


def test_a_refused_log_in_is_said_and_not_tried_for_every_stream(bench: Bench, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-token-at-all")
    for _ in range(2):  # and a person may try again at once
        report = tried(bench, secrets={"token": f"file://{wrong}"})
        assert not report.reached
        assert [each.code for each in report.findings if each.about == "system"] == ["auth_refused"]
        assert len([each for each in report.findings if each.outcome == "skipped"]) == STREAMS - 2
        assert "not-the-token-at-all" not in repr(report)


def test_a_secret_that_can_not_be_opened_ends_it_before_anything_is_sent(bench: Bench) -> None:
    before = len(bench.demo.arrivals())
    report = tried(bench, secrets={"token": "env://HEADRACE_NO_SUCH_TOKEN"})
    failure = report.first_failure
    assert failure is not None
    assert (failure.about, failure.code) == ("secret token", "secret_unresolved")
    assert len(bench.demo.arrivals()) == before


def test_a_system_that_is_not_there_is_asked_once(bench: Bench) -> None:
    report = tried(bench, settings={"base_url": "http://127.0.0.1:9"})
    assert not report.reached
    failure = report.first_failure
    assert failure is not None
    assert failure.code == "unreachable"
    assert report.found == []


def test_wrong_settings_are_said(bench: Bench) -> None:
    failure = tried(bench, settings={}).first_failure
    assert failure is not None
    assert (failure.about, failure.code) == ("settings", "missing_key")


def test_the_command_says_it_and_ends_with_its_code(bench: Bench, headrace: Command) -> None:
    done = headrace("test", "d", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["streams_missing"] == []
