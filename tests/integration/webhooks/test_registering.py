"""Webhooks are registered at a system and kept so, whatever happens to them there, to an answer or to us."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.hooking import MANIFEST, TOKEN, Hooking, hooking_system

from scheduler.access.audit import COMMAND_LINE
from scheduler.connections.editing.disconnect import disconnect
from scheduler.connections.remove import remove_connection
from scheduler.health.looks import Finding
from scheduler.webhooks.numbers import connection_json, numbers_of
from scheduler.webhooks.registering import registrar
from scheduler.webhooks.registering.tending import GIVE_UP, tend_registrations
from scheduler.webhooks.registering.wishes import (
    look_at_registrations,
    register_webhooks,
    unregister_webhooks,
)
from worker.config import load_settings
from worker.errors import InvalidInput
from worker.services import Services

pytestmark = pytest.mark.integration
PUBLIC = "https://headrace.example.com"


@dataclass
class Plant:
    """A connection to that system, and a beat that looks after its webhooks."""

    services: Services
    system: Hooking
    id: int

    @property
    def url(self) -> str:
        return f"{PUBLIC}/webhooks/{self.id}"

    def register(self, public_url: str | None = PUBLIC) -> str:
        database, registry = self.services.database, self.services.registry
        return register_webhooks(database, registry, self.id, public_url=public_url, actor=COMMAND_LINE)

    def unregister(self) -> int:
        return unregister_webhooks(self.services.database, self.id, actor=COMMAND_LINE)

    def later(self) -> None:
        """When whatever is to be looked at is due."""
        self.services.database.run("UPDATE webhook_registrations SET next_at = now()")
        tend_registrations(self.services)

    @property
    def row(self) -> dict[str, Any] | None:
        found = self.services.database.one("SELECT * FROM webhook_registrations")
        return None if found is None else dict(found)

    def states(self) -> tuple[str, int]:
        row = self.row
        assert row is not None
        return row["state"], row["attempts"]

    def findings(self) -> list[Finding]:
        return list(look_at_registrations(self.services.database))


Make = Callable[..., Plant]


@pytest.fixture
def make(
    database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    """A plant, with a manifest that may differ."""
    opened: list[Services] = []
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "hook").write_text("the-signing-secret\nthe-one-before")
    for name in ("token", "hook"):
        (tmp_path / name).chmod(0o600)

    with hooking_system() as system:

        def made(change: Callable[[str], str] = str) -> Plant:
            folder = tmp_path / "systems" / "hooking"
            folder.mkdir(parents=True)
            (folder / "manifest.yaml").write_text(change(MANIFEST))
            settings = load_settings(
                database_url=SecretStr(database_url), broker_url=SecretStr(broker_url),
                connectors=(tmp_path / "systems",), short_wait=0.5,
            )  # fmt: skip
            services = Services.open(settings, name="test")
            opened.append(services)
            assert not services.registry.problems()
            secrets = {"token": f"file://{tmp_path}/token", "hook_secret": f"file://{tmp_path}/hook"}
            row = services.database.one(
                """INSERT INTO connections (name, environment, system, settings, secrets)
                   VALUES ('plant', 'live', 'hooking', %s, %s) RETURNING id""",
                (Jsonb({"base_url": system.base_url}), Jsonb(secrets)),  # type: ignore[arg-type]
            )
            assert row
            return Plant(services, system, row["id"])

        yield made
    for services in opened:
        services.close()


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


def no_secret(manifest: str) -> str:
    return manifest.replace("    secret: hook_secret\n", "").replace(', secret: "{secret}"', "")


def test_where_no_secret_is_told_one_that_is_found_is_kept(make: Make) -> None:
    plant = make(no_secret)
    plant.system.loses_answers = 1
    plant.register()
    tend_registrations(plant.services)
    plant.later()
    assert plant.states() == ("active", 0)
    assert plant.system.does("POST", "/hooks") == 1


def test_registered_again_it_has_the_secret_as_it_is_now(make: Make, tmp_path: Path) -> None:
    plant = make()
    plant.register()
    tend_registrations(plant.services)
    (tmp_path / "hook").write_text("rotated")
    plant.register()
    tend_registrations(plant.services)
    assert [body["secret"] for body in plant.system.sent] == ["the-signing-secret", "rotated"]
    assert len(plant.system.hooks) == 1


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


def test_a_refusal_is_said_without_the_secret_that_it_repeats(make: Make) -> None:
    plant = make()
    plant.system.refuses = 2
    plant.register()
    tend_registrations(plant.services)
    assert plant.states() == ("failing", 1)
    plant.later()
    row = plant.row
    assert row is not None
    assert "the-signing-secret" not in str(row)
    plant.later()
    assert plant.states()[0] == "active"


def test_unregistering_removes_ours_and_forgets_it(make: Make) -> None:
    plant = make()
    plant.register()
    tend_registrations(plant.services)
    foreign = plant.system.add(target="https://elsewhere.example.com")
    assert plant.unregister() == 1
    tend_registrations(plant.services)
    assert list(plant.system.hooks) == [foreign["id"]]
    assert plant.row is None
    assert plant.unregister() == 0


def test_asked_for_again_on_its_way_out_it_stays(make: Make) -> None:
    plant = make()
    plant.register()
    tend_registrations(plant.services)
    plant.unregister()
    plant.register()
    tend_registrations(plant.services)
    assert plant.states()[0] == "active"
    assert len(plant.system.hooks) == 1


@pytest.mark.parametrize("how", ["deleted", "disconnected", "disconnected and deleted"])
def test_it_goes_at_the_system_after_its_connection_went(make: Make, how: str) -> None:
    plant = make()
    plant.register()
    tend_registrations(plant.services)
    if "disconnected" in how:
        disconnect(plant.services.database, plant.id, COMMAND_LINE)
    if "deleted" in how:
        remove_connection(plant.services.database, "plant")
    tend_registrations(plant.services)
    assert not plant.system.hooks
    assert plant.row is None


def test_what_can_not_be_removed_is_given_up_some_day(make: Make) -> None:
    plant = make()
    plant.register()
    tend_registrations(plant.services)
    plant.system.refuses = GIVE_UP + 1
    remove_connection(plant.services.database, "plant")
    for _ in range(GIVE_UP):
        plant.later()
    assert plant.states() == ("removing", GIVE_UP)
    plant.later()
    assert plant.row is None


def test_another_url_of_ours_takes_the_place_of_the_old_one(make: Make) -> None:
    plant = make()
    plant.register("https://old.example.com")
    tend_registrations(plant.services)
    plant.register()
    tend_registrations(plant.services)
    assert [hook["target"] for hook in plant.system.hooks.values()] == [plant.url]


def handed_out(manifest: str) -> str:
    return manifest.replace(', secret: "{secret}"}', "}, secret: data.key")


def test_a_secret_that_the_system_hands_out_is_written_to_its_reference(make: Make, tmp_path: Path) -> None:
    plant = make(handed_out)
    (tmp_path / "hook").unlink()
    plant.system.hands_out = "chosen-by-the-system"
    plant.system.loses_answers = 1
    plant.register()
    tend_registrations(plant.services)
    assert not (tmp_path / "hook").exists()
    plant.later()
    assert (tmp_path / "hook").read_text().strip() == "chosen-by-the-system"
    assert len(plant.system.hooks) == 1, "one whose secret nobody knows went"
    plant.later()
    assert plant.states() == ("active", 0)
    assert plant.system.does("POST", "/hooks") == 2


def test_without_a_place_for_it_nothing_is_created(make: Make) -> None:
    plant = make(handed_out)
    plant.services.database.run(
        """UPDATE connections SET secrets = secrets || '{"hook_secret": "env://HOOKING_SECRET"}'"""
    )
    plant.register()
    tend_registrations(plant.services)
    assert plant.states()[0] == "failing"
    assert not plant.system.hooks
    assert "can't be written" in plant.findings()[0].words


def test_a_secret_in_the_url_that_was_rotated_is_registered_anew(make: Make, tmp_path: Path) -> None:
    def in_the_path(manifest: str) -> str:
        return manifest.replace(
            "{hmac: {secret: hook_secret, header: X-Signature}}", "{path: {secret: hook_secret}}"
        )

    plant = make(in_the_path)
    plant.register()
    tend_registrations(plant.services)
    assert [hook["target"] for hook in plant.system.hooks.values()] == [f"{plant.url}/the-signing-secret"]
    assert "the-signing-secret" not in str(plant.row)
    (tmp_path / "hook").write_text("another one/\nthe-signing-secret")
    plant.later()
    assert [hook["target"] for hook in plant.system.hooks.values()] == [f"{plant.url}/another%20one%2F"]


def test_what_can_not_be_is_said_at_once(make: Make) -> None:
    plant = make()
    with pytest.raises(InvalidInput, match="under which URL") as failed:
        plant.register(None)
    assert failed.value.hint
    assert "HEADRACE_PUBLIC_URL" in failed.value.hint
    plant.services.database.run("UPDATE connections SET secrets = secrets - 'hook_secret'")
    with pytest.raises(InvalidInput, match="hook_secret"):
        plant.register()
    disconnect(plant.services.database, plant.id, COMMAND_LINE)
    with pytest.raises(InvalidInput, match="disconnected"):
        plant.register()
    assert plant.row is None


def test_who_wants_them_registered_or_no_longer_is_in_the_audit_log(make: Make) -> None:
    plant = make()
    plant.register()
    plant.unregister()
    acts = plant.services.database.all(
        "SELECT actor, action, connection_id FROM audit WHERE action LIKE 'webhooks.%%' ORDER BY at"
    )
    assert acts == [
        {"actor": "cli", "action": action, "connection_id": plant.id}
        for action in ("webhooks.register", "webhooks.unregister")
    ]
