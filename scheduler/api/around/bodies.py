"""How is the body of a request read? Not beyond a size, not for long, and no more than so much of all that come slowly.

Whoever has a link, or knows the address of a webhook, may send a body before anybody knows who they are. What comes whole
with its request takes no room: nobody who sends little is held up by many who send much, or slowly.
"""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

MAX_BODY = 1024 * 1024
"""Ten thousand ids, or a large webhook."""
WITHIN = 20.0
"""Seconds in which a body must be there, from when somebody first wants it."""
MOST_AT_ONCE = 64 * MAX_BODY
"""Bytes of bodies that come in pieces, in one process."""


class Room:
    """What all such bodies of a process take, in one thread: the event loop's."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self.taken = 0

    def take(self, size: int) -> bool:
        """Whether there was room for it."""
        if self.taken + size > self._most:
            return False
        self.taken += size
        return True

    def give_back(self, size: int) -> None:
        self.taken -= size


class Body:
    """That of one request. Raises `HTTPException` where it is refused; `end` it when the request was answered."""

    def __init__(self, scope: Scope, receive: Receive, room: Room) -> None:
        self.is_announced_too_long = _announces_too_much(scope)
        self._receive = receive
        self._room = room
        self._read = self._held = 0
        self._whole = False
        self._until: float | None = None

    async def receive(self, *, answered: bool) -> Message:
        """The next piece. Of a body that is too long nothing more is read: where its length was announced, nothing at all."""
        if self._whole:
            return await self._receive()
        if self.is_announced_too_long and not answered:
            raise _too_long()
        message = await self._next()
        size = len(message.get("body", b""))
        self._read += size
        if self._read > MAX_BODY:
            raise _too_long()
        self._whole = not message.get("more_body", False)
        if not self._whole or self._held:
            if not self._room.take(size):
                raise _too_many()
            self._held += size
        return message

    def end(self) -> None:
        """Others may have the room."""
        self._room.give_back(self._held)
        self._held = 0

    async def _next(self) -> Message:
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + WITHIN
        try:
            async with asyncio.timeout_at(self._until):
                return await self._receive()
        except TimeoutError:
            words = f"The body wasn't there within {WITHIN:g} seconds."
            raise HTTPException(408, words, {"Connection": "close"}) from None


def _announces_too_much(scope: Scope) -> bool:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return length.isdigit() and (len(length) > 18 or int(length) > MAX_BODY)


def _too_long() -> HTTPException:
    words = f"The body is longer than {MAX_BODY // 1024:,} kB."
    return HTTPException(413, words, {"Connection": "close"})


def _too_many() -> HTTPException:
    words = "Too many large bodies are on their way here at once."
    return HTTPException(503, words, {"Connection": "close"})
