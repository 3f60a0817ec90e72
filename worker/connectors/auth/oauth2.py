"""How does a connection come by an access token? OAuth 2.0 (RFC 6749): client credentials, a refresh token, a user's
password, or an assertion (RFC 7523). A client may prove itself by an assertion, too, instead of a secret.

Pure: what to send to the token endpoint, and what its answer says. The token is used until shortly before it ends, or
until the system answers 401. A refresh token that is spent and replaced is a `Renewal`.
"""

import base64
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from worker.connectors.answers import failure_of_status, words_of
from worker.connectors.auth import Credential, header_value, open_named, with_header
from worker.connectors.auth.jwt import Assertion
from worker.connectors.contract import Moment, Renewal, Request, Response, Signing, Step
from worker.errors import NeedsOperator, Transient

HELD = "access_token"
EXPIRES_IN = "expires_in"
ClientAuth = Literal["basic", "body", "private_key_jwt"]
Grant = Literal["client_credentials", "refresh_token", "password", "jwt_bearer"]

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTED = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_LOST = (
    "It was revoked, has expired, or was spent by a worker that died before what came instead was in the store."
    " Authorise the connection again: `headrace connect`, or a new connect link."
)
_CLIENT = (
    "Check the connection's client id and client secret, and which grants and scopes the system allows it."
)

_USER = "Check the connection's user and password, or its private key and what the assertion says."
_BY_ITSELF = frozenset({"password", "jwt_bearer"})
"""Grants that hold the proof themselves: nobody has to consent."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks for tokens, as the system's token endpoint knows it."""

    id: str
    secret: str | None = field(default=None, repr=False)
    auth: ClientAuth = "basic"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint gave."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    expires_in: float | None = None


@dataclass(frozen=True, slots=True)
class OAuth2:
    """The auth of one connection."""

    token_url: str
    grant: Grant
    client_id: Credential | None = None
    client_secret: str | None = None
    client_auth: ClientAuth = "basic"
    refresh_token: str = ""
    replaces: bool = True
    scopes: Sequence[str] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    username: Credential | None = None
    password: str = ""
    assertion: Assertion | None = None

    @property
    def replaced(self) -> frozenset[str]:
        return frozenset({self.refresh_token} if self.grant == "refresh_token" else ())

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        token = held.get(HELD) or (yield from self._fetch(secrets, held))
        response = yield _bearing(request, token)
        if response.status != 401:
            return
        if held.get(HELD) == token:  # nobody has fetched another meanwhile
            del held[HELD]
        token = held.get(HELD) or (yield from self._fetch(secrets, held))
        yield _bearing(request, token)

    def client(self, secrets: Mapping[str, str]) -> Client | None:
        """Who asks; None: whoever holds the assertion, or the password."""
        if self.client_id is None:
            return None
        secret = None if self.client_secret is None else open_named(secrets, self.client_secret)
        return Client(self.client_id.open(secrets), secret, self.client_auth)

    def asking(
        self, secrets: Mapping[str, str], form: Mapping[str, str], *, scopes: Sequence[str] = ()
    ) -> Request | Signing:
        """What asks for a token by this form, with the client's proof, which may be one of that moment."""
        client, assertion = self.client(secrets), self.assertion
        make = partial(token_request, self.token_url, client, scopes=scopes)
        if assertion is None:
            return make(form)
        client_id = None if client is None else client.id
        return Signing(lambda moment: make({**form, **self._asserted(assertion, secrets, moment, client_id)}))

    def _fetch(self, secrets: Mapping[str, str], held: dict[str, str]) -> Generator[Step, Response, str]:
        asking = partial(self.asking, secrets, scopes=self.scopes)
        if self.grant == "refresh_token":
            open_named(secrets, self.refresh_token)
            response = yield Renewal(
                self.refresh_token,
                lambda token: asking({"grant_type": self.grant, "refresh_token": token, **self.params}),
                _refresh_token_in,
                self.replaces,
            )
        else:
            response = yield asking(self._form(secrets))
        tokens = tokens_in(response, consented=self.grant not in _BY_ITSELF)
        if tokens.expires_in is not None:
            held[EXPIRES_IN] = f"{tokens.expires_in:.0f}"
        held[HELD] = tokens.access
        return tokens.access

    def _form(self, secrets: Mapping[str, str]) -> dict[str, str]:
        if self.grant == "password" and self.username is not None:
            user = {"username": self.username.open(secrets), "password": open_named(secrets, self.password)}
            return {"grant_type": self.grant, **user, **self.params}
        return {"grant_type": _JWT_BEARER if self.grant == "jwt_bearer" else self.grant, **self.params}

    def _asserted(
        self, assertion: Assertion, secrets: Mapping[str, str], moment: Moment, client_id: str | None
    ) -> dict[str, str]:
        """The assertion of that moment: it is the grant itself, or the client's proof."""
        made = assertion.made(secrets, moment, client_id)
        if self.grant == "jwt_bearer":
            return {"assertion": made}
        return {"client_assertion_type": _ASSERTED, "client_assertion": made}


def token_request(
    url: str, client: Client | None, form: Mapping[str, str], *, scopes: Sequence[str] = ()
) -> Request:
    """What is posted to a token endpoint (RFC 6749, 4 and 6), with the client's proof in a header or in the body.

    A client that proves itself by an assertion is named in there.
    """
    fields = dict(form)
    if scopes:
        fields.setdefault("scope", " ".join(scopes))
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if client is None or client.auth == "private_key_jwt":
        pass
    elif client.secret is not None and client.auth == "basic":
        pair = (
            f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"  # encoded first: RFC 6749, 2.3.1
        )
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        fields["client_id"] = client.id
        if client.secret is not None:
            fields["client_secret"] = client.secret
    return Request("POST", url, headers=headers, body=urlencode(fields).encode())


def tokens_in(response: Response, *, consented: bool = True) -> Tokens:
    """What the endpoint gave; `NeedsOperator` where it refuses, `needs_authorisation` where a person must consent anew.

    `consented`: somebody did. Else what is refused is a password, or an assertion.
    """
    data = _decoded(response)
    if isinstance(error := data.get("error"), str) and response.status < 500:
        said = _said(error, response)
        if error == "invalid_grant" and not consented:
            raise NeedsOperator("auth_refused", f"The system gives out no token: {said}.", hint=_USER)
        if error in {"invalid_grant", "interaction_required", "consent_required"}:
            message = f"The system takes the connection's authorisation no longer: {said}."
            raise NeedsOperator("needs_authorisation", message, hint=_LOST)
        if error in {"temporarily_unavailable", "slow_down"}:
            raise Transient("system_error", f"The system gives out no token now: {said}.")
        raise NeedsOperator("auth_refused", f"The system gives out no token: {said}.", hint=_CLIENT)
    failure = failure_of_status(response.status, words_of(response))
    if failure is not None:
        raise failure
    access = data.get("access_token")
    if not isinstance(access, str) or not access:
        raise Transient("malformed_page", "The answer of the token endpoint holds no access token.")
    return Tokens(access, _refresh_token_in(response), _seconds(data.get("expires_in")))


def _bearing(request: Request, token: str) -> Request:
    return with_header(request, "Authorization", "Bearer " + header_value(token, HELD))


def _decoded(response: Response) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _refresh_token_in(response: Response) -> str | None:
    if response.status >= 300:
        return None
    found = _decoded(response).get("refresh_token")
    return found if isinstance(found, str) and found.strip() else None


def _seconds(value: object) -> float | None:
    """Some systems say it as text."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return None
    return seconds if 0 < seconds < 10 * 365 * 86400 else None


def _said(error: str, response: Response) -> str:
    words = words_of(response)
    return (error if words is None or words == error else f"{error}, {words}").rstrip(".")
