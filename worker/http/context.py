"""On whose behalf is a request sent, and what of the budgets is needed for it?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from worker.connectors.contract import Request, Source
from worker.http.grant import Permits
from worker.http.heeding import Account
from worker.limits.policy import Call
from worker.telemetry.steps import Steps


class Budget(Permits, Account, Protocol):
    """What of `worker.limits` is needed here."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """On whose behalf a request is sent."""

    connection_id: int
    account: str
    lane: int
    source: Source
    secrets: Mapping[str, str]
    """References by the names that the manifest gives them; opened at each use."""
    request_id: str
    steps: Steps
    reads: bool = True
    """All requests of this call only read, whatever their method: one may be sent again."""
    stream: str = ""
    """What is asked for: a stream that fails alone is not the system."""
    environment: str | None = None
    """The connection's: its secrets are opened if such connections may use them."""
    network: Mapping[str, str] = field(default_factory=dict)
    """How the connection's requests leave, where that is not as everybody's do: see `worker.http.network`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The connection's: who logs in, and where."""

    @property
    def logs_in_by(self) -> dict[str, str]:
        """What a log-in goes by, but for the values of secrets: the settings, and where the secrets lie."""
        own = {f"setting {name}": str(value) for name, value in self.settings.items()}
        return own | {f"secret {name}": reference for name, reference in self.secrets.items()}

    def call(self, outgoing: Request, path: str) -> Call:
        """What such a request is to the budget. `path`: without a query."""
        return Call(str(self.connection_id), self.stream, outgoing.method, path)
