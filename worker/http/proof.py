"""How does a request get its proof?

Drives the generator of a connection's `Auth`. Promises: however many threads ask at once, one logs in while the others
wait and use what it got; a token that was refused is renewed by one of them too. A session that is given up is logged out
of. Tokens, and headers that carry a proof, are known to the redactor before anything is sent.
"""

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import TypeGuard

from worker.connectors.contract import (
    NO_CSRF_TOKEN,
    Auth,
    Moment,
    Renewal,
    Request,
    Response,
    SessionAuth,
    Signing,
    Step,
)
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.http.held import Held
from worker.secrets import Secret
from worker.telemetry.redaction import MASK, redactor

MOST_REQUESTS = 8
SHORTEST_TOKEN = 8
REFUSED = (401, 403)
_CARRIES_PROOF = re.compile(r"auth|cookie|token|key|secret|session|password|signature|csrf", re.IGNORECASE)
_TIME_OR_AMOUNT = re.compile(r"\d{1,11}(\.\d*)?|\d{4}-\d\d-\d\d[T ]?[\d:.+Z-]*")


class LoginRefused(NeedsOperator):
    """A system refuses what a connection logs in with."""

    @classmethod
    def of(cls, refusal: NeedsOperator) -> "LoginRefused":
        return cls(refusal.code, refusal.message, hint=refusal.hint)


def _no_moment() -> Moment:
    raise NotImplementedError


def _by_status_alone(answer: Response) -> bool:
    del answer
    return False


class _Turn:
    """One thread's turn at logging in."""

    def __init__(self, lock: Lock, patience: float) -> None:
        self._lock = lock
        self._patience = patience
        self.mine = False

    def take(self) -> None:
        if self.mine:
            return
        if not self._lock.acquire(timeout=self._patience):
            raise Transient("login_busy", "Another run is still logging in to the same connection.")
        self.mine = True

    def leave(self) -> None:
        if self.mine:
            self.mine = False
            self._lock.release()


@dataclass(frozen=True, slots=True)
class Proof:
    """One request asked for, to be sent with its proof. `patience`: seconds to wait for another's log-in."""

    auth: Auth
    request: Request
    secrets: Mapping[str, Secret]
    held: Held
    send: Callable[[Request], Response]
    log_in: Callable[[Request], Response]
    """Sends a request that is part of a log-in."""
    renew: Callable[[Renewal], Response]
    """Sends one that spends a secret, and sees to what comes instead."""
    patience: float
    expired: Callable[[Response], bool] = _by_status_alone
    """Whether an answer says in words of its own that our token or session is good no longer."""
    moment: Callable[[], Moment] = _no_moment
    """What a request that is signed as it is sent may hold."""

    def answer(self) -> Response:
        """Drive the flow to its last answer; once more if another thread has renewed the token meanwhile."""
        answer = self._drive(may_restart=True)
        return answer if answer is not None else self._drive(may_restart=False) or _endless()

    def _drive(self, *, may_restart: bool) -> Response | None:
        turn = _Turn(self.held.lock, self.patience)
        if not self.held.usable:
            turn.take()
            if not self.held.usable:
                self.give_back()
        flow = self.auth.flow(self.request, self._opened(), self.held.values)
        try:
            return self._exchange(flow, turn, may_restart=may_restart)
        finally:
            flow.close()
            turn.leave()

    def give_back(self) -> None:
        """Hold nothing any more, and log out of a session that was held: systems may have room for few."""
        before, self.held.before = self.held.before, None
        if before is not None and before.leave is not None:
            before.leave()
        if self.held.values and keeps_sessions(self.auth):
            with suppress(HeadraceError):  # then it ends by itself
                leaving = self.auth.log_out(self._opened(), self.held.values)
                if leaving is not None:
                    self.log_in(leaving)
        self.held.clear()

    def _opened(self) -> dict[str, str]:
        """The connector is where a secret is used; nothing else sees it plain."""
        return {name: secret.reveal() for name, secret in self.secrets.items()}

    def _exchange(
        self, flow: Generator[Step, Response, None], turn: _Turn, *, may_restart: bool
    ) -> Response | None:
        """The flow's last answer, or None to begin again. The turn is left before the request asked for is sent."""
        outgoing = next(flow, None)
        before = dict(self.held.values)
        for _ in range(MOST_REQUESTS):
            if outgoing is None:
                break
            self.held.settle()
            made = self._made(outgoing)
            asked_for = isinstance(made, Request) and self._is_asked_for(made)
            if asked_for:
                turn.leave()
            elif not self._takes(turn) and may_restart:
                return None
            answer = self._sent(made, asked_for=asked_for)
            heard = replace(answer, status=401) if asked_for and self.expired(answer) else answer
            if heard.status in REFUSED and before and not turn.mine:
                turn.take()
                if may_restart and self.held.values != before:
                    return None
            try:
                outgoing = flow.send(heard)
            except StopIteration:
                return answer
            except NeedsOperator as exc:
                raise exc if asked_for or exc.code == NO_CSRF_TOKEN else LoginRefused.of(exc) from None
        return _endless()

    def _takes(self, turn: _Turn) -> bool:
        """Take the turn to log in; False where another thread has logged in while this one waited for it."""
        if turn.mine:
            return True
        known = dict(self.held.values)
        turn.take()
        return self.held.values == known

    def _made(self, outgoing: Step) -> Request | Renewal:
        """As it is sent, and the redactor knows what proof it holds; a signature is good for one request alone."""
        if isinstance(outgoing, Renewal):
            return replace(outgoing, request=self._kept(outgoing.request))
        if isinstance(outgoing, Signing):
            if outgoing.proved is not None:
                self._keep_secret(outgoing.proved)
            return outgoing.make(self.moment())
        self._keep_secret(outgoing)
        return outgoing

    def _sent(self, made: Request | Renewal, *, asked_for: bool) -> Response:
        if isinstance(made, Renewal):
            return self.renew(made)
        return self.send(made) if asked_for else self.log_in(made)

    def _kept(self, make: Callable[[str], Request | Signing]) -> Callable[[str], Request]:
        """The same as it is sent, and the redactor knows what proof it holds."""

        def made(value: str) -> Request:
            found = make(value)
            request = found.make(self.moment()) if isinstance(found, Signing) else found
            self._keep_secret(request)
            return request

        return made

    def _is_asked_for(self, outgoing: Request) -> bool:
        """Whether this is the request itself: a proof changes headers or the query, and says it of a body; a log-in is another request."""
        asked = self.request
        return outgoing.asked or (outgoing.method, outgoing.url, outgoing.body) == (
            asked.method,
            asked.url,
            asked.body,
        )

    def _keep_secret(self, outgoing: Request) -> None:
        for value in tuple(self.held.values.values()):
            if len(value) >= SHORTEST_TOKEN and not _TIME_OR_AMOUNT.fullmatch(value):
                redactor.add(value)
        for name, value in outgoing.headers.items():
            if not _CARRIES_PROOF.search(name) or self.request.headers.get(name) == value:
                continue
            for part in (value, *_tokens(name, value)):
                if len(part) >= SHORTEST_TOKEN:
                    redactor.add(part)


def keeps_sessions(auth: Auth) -> TypeGuard[SessionAuth]:
    """Whether it holds sessions that can be given back. By its class: to ask an object costs a tenth of a request."""
    kind = type(auth)
    if kind not in _KINDS:
        _KINDS[kind] = isinstance(auth, SessionAuth)
    return _KINDS[kind]


_KINDS: dict[type, bool] = {}


def shown(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers for a log: a signature is a proof, too, for as long as its time is near."""
    return {name: MASK if _CARRIES_PROOF.search(name) else value for name, value in headers}


def _tokens(name: str, value: str) -> list[str]:
    """The secret parts of a header: what follows the scheme, or each cookie's value."""
    if name.lower() == "cookie":
        return [pair.partition("=")[2].strip() for pair in value.split(";")]
    _scheme, _, rest = value.partition(" ")
    return [rest] if rest and " " not in rest else []


def _endless() -> Response:
    raise NeedsOperator(
        "auth_endless",
        f"The connection's log-in came to no end after {MOST_REQUESTS} requests.",
        hint="Look at the auth section of the system's manifest.",
    )
