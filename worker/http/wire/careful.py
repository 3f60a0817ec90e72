"""What does an answer of any kind say? Read by h11, with all that HTTP/1 allows and nothing that it forbids."""

from collections.abc import Callable
from io import BytesIO

import h11
import httpx

from worker.http.wire.line import Deadline, Line
from worker.http.wire.message import Answer, Outgoing, TooLarge, joined, text_of

LARGEST_HEAD = 100 * 1024


class Careful:
    """The answer to one request, of which `came` was read already."""

    def __init__(self, outgoing: Outgoing, came: bytes, line: Line, deadline: Deadline) -> None:
        self._line = line
        self._deadline = deadline
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
        # Told what was sent, since an answer to HEAD is read in another way.
        self._parser.send(h11.Request(method=outgoing.method, target="/", headers=[("Host", "h")]))
        self._parser.send(h11.EndOfMessage())
        if came:
            self._parser.receive_data(came)

    @property
    def stays(self) -> bool:
        """The connection may be used again, now that the answer is read."""
        states = {self._parser.our_state, self._parser.their_state}
        return states == {h11.DONE} and not self._parser.trailing_data[0]

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers; interim answers are passed over."""
        while True:
            event = self._next()
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                raise httpx.RemoteProtocolError("a protocol that nobody asked for")
            if isinstance(event, h11.Response):
                pairs = ((text_of(bytes(name)), text_of(bytes(value))) for name, value in event.headers)
                return event.status_code, joined(pairs)

    def answer(self, status: int, headers: dict[str, str], most: int, comes: Callable[[int], None]) -> Answer:
        """The whole answer; of its body no more than `most` bytes are taken. `comes` is told how much it is by now."""
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > most and self._parser.their_state is h11.SEND_BODY:
            raise TooLarge
        taken, size = BytesIO(), 0
        while isinstance(event := self._next(), h11.Data):
            size += len(event.data)
            if size > most:
                raise TooLarge
            comes(size)
            taken.write(event.data)
        return Answer(status, headers, taken.getvalue())

    def _next(self) -> object:
        try:
            while (event := self._parser.next_event()) is h11.NEED_DATA:
                came = self._line.receive(self._deadline)
                if not came and self._parser.their_state is h11.SEND_RESPONSE:
                    raise httpx.RemoteProtocolError("closed without an answer")
                self._parser.receive_data(came)
        except h11.RemoteProtocolError as exc:
            raise httpx.RemoteProtocolError("not HTTP") from exc
        return event
