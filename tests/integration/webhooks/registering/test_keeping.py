"""Webhooks are registered at a system and kept so, whatever happens to them there, to an answer or to us."""

import threading
from datetime import timedelta

import pytest
from servers.systems.registered import Make

from scheduler.webhooks.numbers import connection_json, numbers_of
from scheduler.webhooks.registering import registrar
from scheduler.webhooks.registering.tending import tend_registrations

pytestmark = pytest.mark.integration


def test_it_is_created_with_our_url_and_the_newest_secret_and_then_left_alone(make: Make) -> None:
    plant = make()
    assert plant.register() == plant.url
    tend_registrations(plant.services)
    assert plant.system.sent == [{"target": plant.url, "secret": "the-signing-secret"}]
    assert plant.states() == ("active", 1)
    plant.later()
    plant.later()
    assert plant.states() == ("active", 0)
    assert plant.system.does("POST", "/hooks") == 1
    shown = connection_json(numbers_of(plant.services.database)[0])
    assert shown["registration"] == {"state": "active", "error": None, "expires_at": None}
    tend_registrations(plant.services)
    assert plant.system.does("GET", "/hooks") == 3, "it isn't due for an hour"


def test_an_answer_that_is_lost_leaves_no_second_one(make: Make) -> None:
    plant = make()
    plant.system.loses_answers = 1
    plant.register()
    tend_registrations(plant.services)
    assert plant.states() == ("failing", 1)
    assert [finding.level for finding in plant.findings()] == ["warn"]
    plant.later()
    assert len(plant.system.hooks) == 1
    assert not plant.findings()
    plant.later()
    assert plant.states() == ("active", 0)
    assert plant.system.does("POST", "/hooks") == 2


def test_whoever_dies_between_creation_and_commit_leaves_one_that_is_found(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = make()
    plant.register()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(registrar.Registrar, "_say", dies)
        with pytest.raises(KeyboardInterrupt):
            tend_registrations(plant.services)
    assert len(plant.system.hooks) == 1
    tend_registrations(plant.services)
    assert plant.system.does("GET", "/hooks") == 1, "it is claimed for some minutes"
    plant.later()
    assert plant.states()[0] == "active"
    assert len(plant.system.hooks) == 1


def test_two_beats_create_one(make: Make) -> None:
    plant = make()
    plant.register()
    beats = [threading.Thread(target=tend_registrations, args=(plant.services,)) for _ in range(4)]
    for beat in beats:
        beat.start()
    for beat in beats:
        beat.join()
    assert plant.system.does("POST", "/hooks") == 1


def test_one_that_is_there_twice_is_there_once_and_another_s_stays(make: Make) -> None:
    plant = make()
    plant.register()
    plant.system.add(target=plant.url)
    plant.system.add(target=plant.url)
    foreign = plant.system.add(target=f"{plant.url}7")
    tend_registrations(plant.services)
    assert sorted(hook["target"] for hook in plant.system.hooks.values()) == [plant.url, foreign["target"]]
    plant.system.add(target=plant.url)
    plant.later()
    assert plant.states() == ("active", 0)
    assert sorted(hook["target"] for hook in plant.system.hooks.values()) == [plant.url, foreign["target"]]
    assert plant.system.does("POST", "/hooks") == 1


def test_what_the_system_disabled_is_enabled_and_what_it_forgot_is_created_again(make: Make) -> None:
    plant = make()
    plant.register()
    tend_registrations(plant.services)
    (hook,) = plant.system.hooks.values()
    hook["status"] = "suspended"
    plant.later()
    assert hook["status"] == "active"
    plant.system.hooks.clear()
    plant.later()
    assert len(plant.system.hooks) == 1
    plant.later()
    assert plant.states() == ("active", 0)


def test_what_is_put_right_in_vain_is_said_and_tried_ever_less_often(make: Make) -> None:
    plant = make()
    plant.system.keeps = False
    plant.register()
    for _ in range(5):
        plant.later()
    assert plant.states() == ("failing", 5)
    assert "doesn't keep" in plant.findings()[0].words
    row = plant.row
    assert row is not None
    assert row["next_at"] - row["updated_at"] == timedelta(minutes=16)


def test_one_that_ends_is_renewed_before(make: Make) -> None:
    plant = make()
    plant.system.lasts = timedelta(hours=1)
    plant.register()
    tend_registrations(plant.services)
    row = plant.row
    assert row is not None
    first = row["expires_at"]
    plant.later()
    (hook,) = plant.system.hooks.values()
    assert plant.system.does("POST", f"/hooks/{hook['id']}/renew") == 1
    plant.system.lasts = timedelta(days=3)
    plant.later()
    plant.later()
    row = plant.row
    assert row is not None
    assert row["expires_at"] > first + timedelta(days=2)
    assert plant.states() == ("active", 0)
    assert plant.system.does("POST", "/hooks") == 1
