"""What have connections that a manifest describes in common, however their systems are asked?"""

from collections.abc import Sequence

from worker.connectors.contract import Discovery, Limits, Transport
from worker.connectors.manifest.model import Manifest


class ManifestSource:
    """What the manifest says, with what the connection's settings say over it (`worker.connectors.describing`)."""

    transport: Transport = "http"

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.limits: Limits = manifest.limits

    @property
    def stream_names(self) -> Sequence[str]:
        return tuple(self.manifest.streams)

    def discover(self) -> Discovery | None:
        return None
