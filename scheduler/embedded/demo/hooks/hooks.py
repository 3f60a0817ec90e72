"""Which webhooks does a change make? One for each record that shows, unless a fault loses, doubles or delays it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from scheduler.embedded.demo.faults import Faults
from scheduler.embedded.demo.hooks.message import Message, body_of, key_of
from scheduler.embedded.demo.hooks.sender import Sender
from scheduler.embedded.demo.plant.memory.store import Batch


class Hooks:
    """Knows who listens. Used from the event loop's thread; each listener has a sender with a thread of its own."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._senders: dict[str, Sender] = {}
        self._lost = 0

    def listen(self, name: str, url: str, secrets: Sequence[str]) -> None:
        """From now on `url` is told of changes, signed with each of these. Raises BadSecret."""
        keys = [key_of(secret) for secret in secrets]
        self.ignore(name)
        self._senders[name] = Sender(url, keys)

    def ignore(self, name: str) -> bool:
        """Tell this one no more; whether it was told."""
        sender = self._senders.pop(name, None)
        if sender is not None:
            sender.close()
        return sender is not None

    def in_vain(self, name: str) -> int:
        """How many in a row this one didn't take, as of now."""
        sender = self._senders.get(name)
        return sender.in_vain if sender is not None else 0

    def shown(self, batch: Batch, now: int) -> None:
        """These records can be seen from now on as they are here."""
        if not self._senders:
            return
        for entity, record in batch:
            if self._faults.take("webhook_lost", entity, now):
                self._lost += 1
                continue
            message = Message(f"msg_{uuid4().hex}", body_of(entity, record, now))
            if self._faults.take("webhook_late", entity, now):
                message = replace(message, held_back=True)
            times = 2 if self._faults.take("webhook_twice", entity, now) else 1
            for sender in self._senders.values():
                for _ in range(times):
                    sender.put(message)

    def counts(self) -> dict[str, Any]:
        """`lost`: by a fault, so nobody was told; `dropped`: nobody took them."""
        total: Counter[str] = sum((sender.counts for sender in self._senders.values()), Counter())
        return {"sent": total["sent"], "dropped": total["dropped"], "lost": self._lost}

    def close(self) -> None:
        for name in list(self._senders):
            self.ignore(name)
