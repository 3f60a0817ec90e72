"""The secret of a webhook that is registered is told to the system, or by it, and to nobody else."""

from pathlib import Path

import pytest
from servers.systems.registered import Make

from scheduler.webhooks.registering.tending import tend_registrations

pytestmark = pytest.mark.integration


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


def test_a_refusal_is_said_without_the_secret_that_it_repeats(make: Make, tmp_path: Path) -> None:
    plant = make()
    (tmp_path / "hook").write_text("a-line\nthe-one-before")
    plant.system.refuses = 2
    plant.register()
    tend_registrations(plant.services)
    assert plant.states() == ("failing", 1)
    plant.later()
    row = plant.row
    assert row is not None
    assert "a-line" not in str(row)
    plant.later()
    assert plant.states()[0] == "active"


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
