"""A sender with a transport in the network's place."""

from collections.abc import Callable

import httpx
import pytest
from servers.systems.sending import NOW, Budget, Handler

from worker.http import Sender


@pytest.fixture
def budget() -> Budget:
    return Budget()


@pytest.fixture
def sender(budget: Budget) -> Callable[[Handler], Sender]:
    def made(handler: Handler) -> Sender:
        transport = httpx.MockTransport(handler)
        return Sender(budget, timeout=5, max_bytes=1000, transport=transport, clock=lambda: NOW)

    return made
