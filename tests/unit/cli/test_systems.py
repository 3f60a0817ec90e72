"""`headrace systems`: what there is, what each can do, and what a connection to one needs."""

import json

import pytest

from scheduler.cli.entry import run
from scheduler.connections.systems import known_systems
from worker.connectors.connector import ManifestConnector


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["systems", *arguments]) == 0
    return capsys.readouterr().out


def test_every_system_is_listed_with_what_it_was_tried_on(capsys: pytest.CaptureFixture[str]) -> None:
    found = {row["system"]: row for row in json.loads(said(capsys, "--json"))["systems"]}
    assert set(found) == set(known_systems().systems())
    assert found["tryton"]["tried"].startswith("tried on Tryton 8")
    assert found["rest"]["streams"] == "each connection's own"


def test_one_system_says_what_a_connection_needs_and_where_to_find_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys, "tryton")
    for words in (
        "password",
        "Administration > Users",
        "purchases",
        "headrace connect tryton",
        "Read access",
    ):
        assert words in text


def test_each_system_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for connector in known_systems().connectors():
        whole = json.loads(said(capsys, connector.system, "--json"))
        assert whole["system"] == connector.system
        if isinstance(connector, ManifestConnector):
            assert [stream["name"] for stream in whole["streams"]] == list(connector.stream_names)


def test_a_name_that_is_none_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["systems", "tryten"]) != 0
    assert "tryton" in capsys.readouterr().err
