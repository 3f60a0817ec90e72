"""Who wants webhooks registered, and who no longer does: what was wanted is done, whatever becomes of the connection."""

from dataclasses import replace
from pathlib import Path

import pytest
from servers.systems.registered import Make

from scheduler.access.audit import COMMAND_LINE
from scheduler.connections.editing.disconnect import disconnect
from scheduler.connections.remove import remove_connection
from scheduler.webhooks.registering.tending import GIVE_UP, tend_registrations
from worker.connectors.registry import Registry
from worker.errors import InvalidInput

pytestmark = pytest.mark.integration


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


def of_topics(manifest: str) -> str:
    return manifest.replace(
        "    secret: hook_secret\n", "    secret: hook_secret\n    topics: [parts, orders]\n    topic: kind\n"
    ).replace('secret: "{secret}"}', 'secret: "{secret}", kind: "{topic}"}')


def test_a_topic_that_the_manifest_no_longer_has_goes_when_it_is_registered_again(
    make: Make, tmp_path: Path
) -> None:
    plant = make(of_topics)
    plant.register()
    tend_registrations(plant.services)
    assert sorted(hook["kind"] for hook in plant.system.hooks.values()) == ["orders", "parts"]
    manifest = tmp_path / "systems" / "hooking" / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("[parts, orders]", "[parts]"))
    plant.services = replace(plant.services, registry=Registry.load([tmp_path / "systems"]))
    plant.register()
    plant.later()
    assert [hook["kind"] for hook in plant.system.hooks.values()] == ["parts"]
