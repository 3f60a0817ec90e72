"""How is a session got by logging in, kept, renewed and given back? As a manifest describes it; pure.

log in      a request with the connection's secrets (`auth/opening.py`): values, cookies, and how long they are good
use         headers made of those values, and the cookies, on every request
again       shortly before the end, or when the system says that it knows the session no longer
log out     where a session is given up for another one, or with the process
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from worker.connectors.auth.bodies import Place, with_places
from worker.connectors.auth.cookies import cookies_in, merged_cookies, with_cookies, written_cookies
from worker.connectors.auth.opening import COOKIES, Opening
from worker.connectors.auth.texts import Names, Text
from worker.connectors.contract import Request, Response, Step

_HELD = "session "
"""What stands before the names of what is held, so that they are no others'."""
_ROLLED = "rolled"
"""Cookies of later answers. They are held apart: the session is the one that was opened, however often they change."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The request that gives a session back."""

    method: str
    url: str
    body: Any = None
    """JSON."""


@dataclass(frozen=True, slots=True)
class LoginAuth:
    """The auth of one connection."""

    opening: Opening
    names: Names
    headers: Mapping[str, Text]
    """Of every request; their names may be those of what the log-in brought."""
    leaving: Leaving | None = None
    places: tuple[Place, ...] = ()
    """What goes into the body of every request."""
    rolling: bool = False
    """Cookies of later answers stand instead of those before."""

    @property
    def token_url(self) -> str:
        return self.opening.url if "://" in self.opening.url else ""

    @property
    def replaced(self) -> frozenset[str]:
        return frozenset()

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        session = _session(held) or (yield from self._log_in(secrets, held))
        answer = yield self._proven(request, secrets, session, held)
        if answer.status != 401:
            self._follow(answer, session, held)
            return
        if _session(held) == session:  # nobody has logged in anew meanwhile
            for name in session:
                held.pop(_HELD + name, None)
            held.pop(_ROLLED, None)
        session = _session(held) or (yield from self._log_in(secrets, held))
        answer = yield self._proven(request, secrets, session, held)
        self._follow(answer, session, held)

    def log_out(self, secrets: Mapping[str, str], held: Mapping[str, str]) -> Request | None:
        session = _session(held)
        if self.leaving is None or not session:
            return None
        request = Request(self.leaving.method, self.leaving.url, headers={"Accept": "application/json"})
        if self.leaving.body is not None:
            body = msgspec.json.encode(self.names.json(self.leaving.body, secrets))
            request = replace(
                request, headers={**request.headers, "Content-Type": "application/json"}, body=body
            )
        return self._proven(request, secrets, session, held)

    def _follow(self, answer: Response, session: Mapping[str, str], held: dict[str, str]) -> None:
        """Keep what an answer sets of the cookies that are kept. One of a session that was given up says nothing of another."""
        if self.rolling and "set-cookie" in answer.headers and _session(held) == session:
            found = written_cookies(cookies_in(answer, self.opening.cookies))
            held[_ROLLED] = merged_cookies(held.get(_ROLLED, ""), found)

    def _log_in(
        self, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, dict[str, str]]:
        response = yield self.opening.request(self.names, secrets)
        opened = self.opening.read(response)
        held.pop(_ROLLED, None)
        held.update({**{_HELD + name: value for name, value in opened.session.items()}, **opened.lasting})
        return opened.session

    def _proven(
        self,
        request: Request,
        secrets: Mapping[str, str],
        session: Mapping[str, str],
        held: Mapping[str, str],
    ) -> Request:
        headers = self.names.headers(self.headers, secrets, session)
        proven = replace(request, headers={**request.headers, **headers})
        placed = with_places(proven, self.places, self.names, secrets, session)
        cookies = session.get(COOKIES, "")
        if self.rolling and (rolled := held.get(_ROLLED)):
            cookies = merged_cookies(cookies, rolled)
        return with_cookies(placed, cookies)


def _session(held: Mapping[str, str]) -> dict[str, str]:
    """What is held of it, as a copy: another thread may be logging in."""
    known = dict(held)
    return {name.removeprefix(_HELD): value for name, value in known.items() if name.startswith(_HELD)}
