"""A system and a proxy on real sockets, which note who came by which way."""

import re
import select
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from threading import Thread


class Listening:
    """A thread for each connection; `context` speaks TLS on them."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.drop()

    def drop(self) -> None:
        """End what is open."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                opened, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(opened,), daemon=True).start()

    def _serve(self, opened: socket.socket) -> None:
        with opened:
            self._open.add(opened)
            try:
                spoken = opened if self.context is None else self._handshaken(opened, self.context)
                if spoken is not None:
                    self.speak(spoken)
            except OSError:
                pass  # a client that hangs up is none of our business
            finally:
                self._open.discard(opened)

    def _handshaken(self, opened: socket.socket, context: ssl.SSLContext) -> socket.socket | None:
        spoken = context.wrap_socket(opened, server_side=True, do_handshake_on_connect=False)
        self._open.add(spoken)
        try:
            spoken.do_handshake()
        except ssl.SSLError:
            # Read to the end, or what was said of the refusal is lost on its way.
            with suppress(OSError):
                socket.socket.shutdown(spoken, socket.SHUT_WR)
                while socket.socket.recv(spoken, 65536):
                    pass
            spoken.close()
            return None
        return spoken

    def speak(self, opened: socket.socket) -> None:
        raise NotImplementedError


class System(Listening):
    """Answers each request as it is told, and notes who asked what."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.asked: list[bytes] = []
        self.clients: list[str] = []
        self.answer: Callable[[bytes], bytes] = lambda _: answer_of(b"{}")

    def speak(self, opened: socket.socket) -> None:
        with opened:
            if isinstance(opened, ssl.SSLSocket):
                shown = opened.getpeercert() or {}
                self.clients += [name[0][1] for name in shown.get("subject", ())]  # type: ignore[misc]
            while (head := read_head(opened)) is not None:
                self.asked.append(head)
                opened.sendall(self.answer(head))
                if b"\r\nconnection: close" in head.lower():
                    return


class HttpProxy(Listening):
    """Passes on what it is asked to, whatever host is named, to where `leads` says."""

    def __init__(self, leads: dict[str, int], context: ssl.SSLContext | None = None, login: str = "") -> None:
        super().__init__(context)
        self.leads = leads
        self.login = login
        self.heads: list[bytes] = []
        self.refuses: bytes = b""
        """Answered to everything, where it is not empty."""

    def speak(self, opened: socket.socket) -> None:
        with opened:
            while (head := read_head(opened)) is not None:
                self.heads.append(head)
                wanted = b"\r\nproxy-authorization: basic " + b64encode(self.login.encode()).lower() + b"\r\n"
                if self.refuses or (self.login and wanted not in head.lower()):
                    opened.sendall(self.refuses or b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n")
                    continue
                method, target, _ = head.split(b" ", 2)
                host = re.sub(r":\d+$", "", target.decode().removeprefix("http://").partition("/")[0])
                with socket.create_connection(("127.0.0.1", self.leads[host])) as further:
                    self._open.add(further)
                    if method == b"CONNECT":
                        opened.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                        _both_ways(opened, further)
                        return
                    once = re.sub(rb"(?i)proxy-authorization:[^\r]*\r\n", b"", head)
                    further.sendall(once.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                    while piece := further.recv(65536):
                        opened.sendall(piece)
                    return


def read_head(opened: socket.socket) -> bytes | None:
    """One request without a body, or None: nothing more comes."""
    taken = b""
    while b"\r\n\r\n" not in taken:
        if not (piece := opened.recv(65536)):
            return None
        taken += piece
    return taken


def answer_of(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in (*headers, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def _both_ways(one: socket.socket, other: socket.socket) -> None:
    """In one thread, since TLS is not to be read and written at once."""
    while True:
        waiting = [each for each in (one, other) if isinstance(each, ssl.SSLSocket) and each.pending()]
        for each in waiting or select.select([one, other], [], [], 10)[0]:
            if not (piece := each.recv(65536)):
                return
            (other if each is one else one).sendall(piece)
