"""How is a database asked? The protocol `sql`: streams of tables, views and queries, read over a connection to it.

Requests are data (`sql_asking`), carried by `worker/sql`: this room knows no dialect and no driver.
"""

from collections.abc import Mapping
from typing import Any

from worker.connectors.auth import NoAuth
from worker.connectors.contract import Auth, Discovery, Response, Stream, Transport, Webhooks
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.webhooks.hooks import ManifestWebhooks
from worker.connectors.protocols.source import ManifestSource
from worker.connectors.protocols.sql_discovery import discovering
from worker.connectors.protocols.sql_settings import read_settings
from worker.connectors.protocols.sql_stream import SqlStream
from worker.connectors.protocols.stream import stream_named
from worker.errors import HeadraceError

PASSWORD = "password"  # noqa: S105 - the name of a secret


class SqlSource(ManifestSource):
    """One connection to a database. Its password is the secret of that name; it goes with the log-in and not with requests."""

    transport: Transport = "sql"

    def __init__(self, manifest: Manifest, settings: Mapping[str, Any]) -> None:
        super().__init__(manifest)
        self._settings = read_settings(settings)
        self.base_url = self._settings.url
        self.auth: Auth = NoAuth()
        spec = manifest.webhooks
        self.webhooks: Webhooks | None = (
            None if spec is None else ManifestWebhooks(spec, self.stream, settings)
        )
        self._streams = {name: SqlStream(spec, self._settings) for name, spec in manifest.streams.items()}

    def stream(self, name: str) -> Stream:
        return stream_named(name, self._streams, system=self.manifest.system)

    def discover(self) -> Discovery | None:
        return discovering(self._settings)

    def failure(self, response: Response) -> HeadraceError | None:
        """A database says no by an error, which its carrier has raised."""
        del response
        return None
