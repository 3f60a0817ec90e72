"""A plant's system that signs webhooks (Standard Webhooks), and sends many from several threads at once to a real API."""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from uuid import uuid4

from servers.installation.plant import Plant
from standardwebhooks import Webhook

SECRET = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
SENDERS = 8
PATIENCE = 20.0


@dataclass(frozen=True)
class Signed:
    """One webhook: what it is called, and what is sent."""

    name: str
    headers: dict[str, str]
    body: bytes


def signed(key: int) -> Signed:
    """A new one about a work order."""
    name, moment = f"msg_{uuid4().hex}", datetime.now(UTC)
    body = json.dumps({"type": "work_order.updated", "timestamp": moment.isoformat(), "data": {"id": key}})
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(name, moment, body),
    }
    return Signed(name, headers, body.encode())


def prove_by_secret(plant: Plant, folder: Path) -> None:
    """Let the plant's webhooks be proved by the secret. Before the first comes."""
    (secret := folder / "webhook-secret").write_text(f"whsec_{SECRET}")
    plant.stack.database.run(
        "UPDATE connections SET secrets = secrets || jsonb_build_object('webhook_secret', %(secret)s::text)"
        " WHERE name = %(name)s",
        {"secret": f"file://{secret}", "name": plant.name},
    )


@dataclass
class Burst:
    """What became of those that were sent."""

    port: int
    path: str
    keys: Sequence[int]
    answered: dict[str, Signed] = field(default_factory=dict)
    """Those with 2xx."""
    others: Counter[str] = field(default_factory=Counter)
    """Other answers by their status; `broken`: a connection that ended without one; `refused`: nobody listens."""
    under_way: int = 0
    """Those that wait for their answer."""
    stop: threading.Event = field(default_factory=threading.Event)
    _number: Iterator[int] = field(default_factory=count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send_all(self) -> None:
        """One after the other on one connection, until somebody says stop or nobody answers."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        while not self.stop.is_set():
            with self._lock:
                hook = signed(self.keys[next(self._number) % len(self.keys)])
                self.under_way += 1
            self._note(hook, self._send(line, hook))
        line.close()

    def _send(self, line: http.client.HTTPConnection, hook: Signed) -> str:
        """Its status, or why there is none: then nobody sends any more."""
        try:
            line.request("POST", self.path, hook.body, hook.headers)
            answer = line.getresponse()
            answer.read()
        except ConnectionRefusedError:
            return "refused"
        except (OSError, http.client.HTTPException):
            return "broken"
        return str(answer.status)

    def _note(self, hook: Signed, status: str) -> None:
        if not status.isdecimal():
            self.stop.set()
        with self._lock:
            self.under_way -= 1
            if status.startswith("2"):
                self.answered[hook.name] = hook
            else:
                self.others[status] += 1


@contextmanager
def bursting(port: int, plant: Plant, keys: Sequence[int]) -> Iterator[Burst]:
    """Send about these work orders, turn by turn, as fast as they are answered; at the end of the block all have ended."""
    burst = Burst(port, f"/webhooks/{plant.name}", keys)
    threads = [threading.Thread(target=burst.send_all, daemon=True) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield burst
    except BaseException:
        burst.stop.set()
        raise
    finally:
        for thread in threads:
            thread.join(PATIENCE + 5)
