"""Who sends the demo system's webhooks? A thread beside the event loop, so that a slow receiver holds up nobody.

What waits is bounded. What finds no room, and what was refused as often as it is tried, is dropped and said: the poll of
whoever listens must find it.
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import httpx

from scheduler.embedded.demo.hooks.message import Message, headers_of

log = logging.getLogger(__name__)

ROOM = 2_000
WAITS = (0.2, 1.0, 5.0, 15.0, 30.0)
"""Seconds before each further try: together longer than a receiver needs to start."""
TIMEOUT = 5.0
HELD = 2.0
"""Seconds that one which is to be overtaken waits for another."""
SAY_EVERY = 10.0
LAST = 1.0
"""Seconds for the one that is under way at the end."""


class Sender:
    """Sends to one address, in the order of what is given. Started by the first."""

    def __init__(
        self,
        url: str,
        keys: Sequence[bytes],
        *,
        room: int = ROOM,
        waits: Sequence[float] = WAITS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url
        self.counts: Counter[str] = Counter()
        self.in_vain = 0
        """Dropped in a row, up to now."""
        self._keys = tuple(keys)
        self._waits = tuple(waits)
        self._clock = clock
        self._waiting: queue.Queue[Message] = queue.Queue(room)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._said = float("-inf")

    def put(self, message: Message) -> None:
        """Never waits."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self._drop("there is no room for more")

    def close(self) -> None:
        """What waits is dropped; one that nobody answers holds up no end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(LAST)

    def _run(self) -> None:
        held: list[Message] = []
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    message = self._waiting.get(timeout=HELD if held else 0.5)
                except queue.Empty:
                    message = None
                if message is not None and message.held_back:
                    held.append(message)
                    continue
                for each in [*([] if message is None else [message]), *held]:
                    self._send(client, each)
                held.clear()

    def _send(self, client: httpx.Client, message: Message) -> None:
        why = ""
        for wait in (0.0, *self._waits):
            if self._stop.wait(wait):
                return
            headers = headers_of(message, self._keys, int(self._clock()))
            try:
                answer = client.post(self.url, content=message.body, headers=headers)
            except httpx.HTTPError as error:
                why = type(error).__name__
                continue
            if answer.is_success:
                self.counts["sent"] += 1
                self.in_vain = 0
                return
            why = f"it was answered {answer.status_code}"
        self._drop(why)

    def _drop(self, why: str) -> None:
        self.counts["dropped"] += 1
        self.in_vain += 1
        now = time.monotonic()
        if now - self._said >= SAY_EVERY:
            self._said = now
            log.warning("Webhooks to %s are dropped (%d so far): %s.", self.url, self.counts["dropped"], why)
