"""What does a new connection describe of its system: what a file says, and what the system says of streams that were named?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.cli.output import note
from scheduler.connections.trial.discovery import chosen, discoverer
from scheduler.connections.trial.trial import Candidate
from worker.connectors.connector import ManifestConnector
from worker.connectors.describing import DESCRIBE
from worker.connectors.registry import Registry
from worker.errors import InvalidInput
from worker.http.sender import Sender
from worker.parsing.documents import load_document


def read_described(file: Path | None) -> dict[str, Any]:
    """The setting `describe` of that file, as `headrace discover --write` makes it; nothing without a file."""
    if file is None:
        return {}
    document = load_document(file)
    if not isinstance(document.data, dict) or document.data.keys() != {DESCRIBE}:
        raise document.error((), "bad_value", f"The file holds `{DESCRIBE}`, and nothing beside it.")
    return dict(document.data)


def refuse_closed(connector: ManifestConnector) -> None:
    """Raise `InvalidInput` where the system takes no streams but its own."""
    if not connector.open:
        raise InvalidInput(
            "no_discovery",
            f"{connector.title} has streams of its own, and takes no others.",
            place="--stream",
            hint="Leave --stream out; which of them are synced stands in the connections file.",
        )


def described(
    sender: Sender, registry: Registry, candidate: Candidate, names: Sequence[str], request_id: str
) -> Mapping[str, Any]:
    """The candidate's settings, with what its system says of these streams."""
    found = chosen(discoverer(registry, candidate).ask(sender, request_id), names)
    for each in found:
        for remark in each.found.remarks:
            note(f"{each.found.name}: {remark}")
    before = candidate.settings.get(DESCRIBE, {})
    streams = {**before.get("streams", {}), **{each.found.name: dict(each.found.describe) for each in found}}
    return {**candidate.settings, DESCRIBE: {**before, "streams": streams}}
