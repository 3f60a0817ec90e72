"""The commands about versions: what they tell before, what they do, and what they say when something can't be done."""

import pytest
from servers.installation.commands import Command
from servers.systems.versioned import Plant

pytestmark = pytest.mark.integration


@pytest.fixture
def at_home(headrace: Command, ours: Plant, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Commands of an installation that knows the system."""
    monkeypatch.setenv("HEADRACE_CONNECTORS", str(ours.folder))
    return headrace


def test_which_versions_are_in_use_and_how_many_connections_are_behind(at_home: Command, ours: Plant) -> None:
    pin = ours.row()["manifest_version"]
    current = ours.write("2.0.0", key="number")
    (row,) = [each for each in at_home("connectors", "--json").json["systems"] if each["system"] == "ours"]
    assert (row["current"], row["versions"], row["behind"]) == (current, {pin: 1}, 1)
    assert "headrace connectors upgrade --all --dry-run" in at_home("connectors").out


def test_a_dry_run_says_what_becomes_of_each_stream_and_what_it_costs(at_home: Command, ours: Plant) -> None:
    stream = ours.stream("parts")
    ours.sync(stream)
    ours.write("2.0.0", key="number")
    said = at_home("connectors", "upgrade", "plant", "--dry-run")
    assert said.code == 0, said.err
    assert "records are called by number, and not by id" in said.out
    assert "3 records are in the copy; reading again is about 3 records in" in said.out
    assert "Nothing was changed yet." in said.out
    assert ours.copy(stream) == {"1": None, "2": None, "3": None}
    (told,) = at_home("connectors", "upgrade", "--system", "ours", "--dry-run", "--json").json["connections"]
    assert (told["streams"][0]["changed"], told["done"]) == (["key"], False)
    assert told["cost"]["parts"]["held"] == len(ours.parts)


def test_what_is_to_be_read_again_wants_a_yes(at_home: Command, ours: Plant) -> None:
    ours.sync(ours.stream("parts"))
    pin = ours.row()["manifest_version"]
    ours.write("2.0.0", key="number")
    refused = at_home("connectors", "upgrade", "plant")
    assert (refused.code, ours.row()["manifest_version"]) == (2, pin)
    assert "--yes" in refused.err
    assert at_home("connectors", "upgrade", "plant", "--yes").code == 0
    assert ours.row()["manifest_version"] != pin
    assert "in version 2.0.0" in at_home("connectors", "upgrade", "plant").out


def test_the_way_back_and_none_where_there_was_no_way(at_home: Command, ours: Plant) -> None:
    pin = ours.row()["manifest_version"]
    first = at_home("connectors", "downgrade", "plant")
    assert (first.code, "in one version only" in first.out) == (1, True)
    ours.write("1.1.0", more="interval: 5m")
    assert at_home("connectors", "upgrade", "--all").code == 0
    assert at_home("connectors", "downgrade", "plant").code == 0
    assert ours.row()["manifest_version"] == pin


def test_what_a_version_needs_is_named_with_the_option_that_gives_it(at_home: Command, ours: Plant) -> None:
    ours.write("2.0.0", settings="  region: {required: true, description: Which.}\n")
    refused = at_home("connectors", "upgrade", "plant", "--dry-run")
    assert refused.code == 1
    assert "--set region=" in refused.out
    assert at_home("connectors", "upgrade", "plant", "--set", "region=eu").code == 0
    assert ours.row()["settings"]["region"] == "eu"


@pytest.mark.parametrize(
    "options", [("--set", "colour=red"), ("--secret", "token=plain"), ("--set", "password=plain")]
)
def test_what_the_version_does_not_know_or_must_not_be_stored_is_refused(
    at_home: Command, ours: Plant, options: tuple[str, ...]
) -> None:
    before = ours.row()
    ours.write("1.1.0")
    assert at_home("connectors", "upgrade", "plant", *options).code == 1
    assert ours.row() == before


def test_nobody_is_meant_by_nothing(at_home: Command) -> None:
    assert at_home("connectors", "upgrade").code == 2
    assert at_home("connectors", "upgrade", "--system", "nobodys").code == 3
    assert at_home("connectors", "upgrade", "plant", "--to", "7.0.0").code == 1
