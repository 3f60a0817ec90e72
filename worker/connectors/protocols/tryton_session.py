"""How does one log in to a Tryton server? One login, then its session in a header until the server forgets it."""

import base64
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from worker.connectors.answers import failure_of_status, words_of
from worker.connectors.auth import Credential, open_named, with_header
from worker.connectors.contract import Request, Response
from worker.errors import NeedsOperator, Transient

HELD = "session"
_TWICE = "Check the connection's user and password. Tryton locks a user for minutes after a few wrong ones."

_WHERE = "Check base_url and database; before Tryton 7.8, rpc_path is empty."


@dataclass(frozen=True, slots=True)
class TrytonSession:
    """Logs in when there is no session, and once more when the server says that it knows ours no longer."""

    url: str
    username: Credential
    password: str

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        session = held.get(HELD) or (yield from self._log_in(secrets, held))
        response = yield with_header(request, "Authorization", f"Session {session}")
        if response.status != 401:
            return
        if held.get(HELD) == session:  # nobody has logged in anew meanwhile
            del held[HELD]
        session = held.get(HELD) or (yield from self._log_in(secrets, held))
        yield with_header(request, "Authorization", f"Session {session}")

    def _log_in(self, secrets: Mapping[str, str], held: dict[str, str]) -> Generator[Request, Response, str]:
        user = self.username.open(secrets)
        params = [user, {"password": open_named(secrets, self.password)}]
        response = yield rpc(self.url, "common.db.login", params)
        number, token = _session_in(response, user)
        held[HELD] = base64.b64encode(f"{user}:{number}:{token}".encode()).decode()
        return held[HELD]


def rpc(url: str, method: str, params: Sequence[Any], headers: Mapping[str, str] | None = None) -> Request:
    """One call. Tryton answers only to exactly these three keys."""
    body = msgspec.json.encode({"id": 1, "method": method, "params": params})
    wanted = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
    return Request("POST", url, headers=wanted, body=body)


def _session_in(response: Response, user: str) -> tuple[int, str]:
    """User number and token; later releases send more, which isn't needed."""
    if response.status in {401, 403}:
        raise NeedsOperator("auth_refused", f"Tryton refuses the login of {user!r}.", hint=_TWICE)
    if response.status in {404, 405}:
        said = f"No Tryton lets {user!r} log in at that address: it answers {response.status}."
        raise NeedsOperator("request_refused", said, hint=_WHERE)
    failure = failure_of_status(response.status, words_of(response))
    if failure is not None:
        raise failure
    try:
        answer = msgspec.json.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Transient("malformed_page", "The answer to the login is not JSON.") from None
    match answer:
        case {"result": [int(number), str(token), *_]}:
            return number, token
        case {"error": ["LoginException", *_]}:
            hint = "The user needs a login by password alone; a second factor can't be given here."
            raise NeedsOperator("auth_refused", f"Tryton asks {user!r} for more than a password.", hint=hint)
        case {"result": _} | {"error": _}:
            raise NeedsOperator("auth_refused", f"Tryton refuses the login of {user!r}.", hint=_TWICE)
        case _:
            raise Transient("malformed_page", "The answer to the login holds no session.")
