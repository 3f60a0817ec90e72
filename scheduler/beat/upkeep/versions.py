"""How does beat follow the manifests? It looks at people's own folders, and pins connections to the versions that they run with."""

from scheduler.connections.upgrading.pinning import tend_pins
from worker.app import declare
from worker.services import Services, all_queues, used_systems


def look_at_manifests(services: Services) -> None:
    """Take what was edited, unless the settings say that this is done at the start only."""
    if services.settings.reload_connectors > 0 and services.registry.look():
        declare(all_queues(services.registry.named()))


def pin_connections(services: Services) -> None:
    """Pin what isn't pinned; and let runs be published whose system has no file here."""
    tend_pins(services.database, services.registry)
    declare(all_queues(used_systems(services)))
