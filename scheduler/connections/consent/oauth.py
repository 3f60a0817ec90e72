"""The authorization code flow of OAuth 2.0 (RFC 6749, 4.1) with PKCE (RFC 7636): the address to go to, and the exchange."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from scheduler.connections.trial.trial import Candidate
from worker.connectors.auth.oauth2 import Tokens, tokens_in
from worker.connectors.contract import Limits, Request, Response, Signing, Source, Step, Stream, Transport
from worker.connectors.manifest.auth.oauth2 import OAuth2Manifest
from worker.connectors.manifest.templates import fill_all
from worker.errors import HeadraceError, NeedsOperator
from worker.http.sender import CallContext, Sender
from worker.runs.states import Lane
from worker.secrets import open_secret
from worker.telemetry.redaction import redactor
from worker.telemetry.steps import Steps

CALLBACK = "/connect/callback"


def address_to_consent(
    consent: OAuth2Manifest,
    settings: Mapping[str, Any],
    client: str,
    *,
    redirect: str,
    state: str,
    challenge: str,
) -> str:
    """Where the browser is sent. Raises `InvalidInput` where the settings make no address."""
    bound = consent.bind(settings)
    assert consent.authorise is not None  # noqa: S101 - the caller has looked
    parts = urlsplit(consent.authorise_url(settings))
    asked = {
        **dict(parse_qsl(parts.query)),
        **fill_all(consent.authorise.params, settings),
        "response_type": "code",
        "client_id": client,
        "redirect_uri": redirect,
        "state": state,
    }
    if bound.scopes:
        asked["scope"] = " ".join(bound.scopes)
    if consent.authorise.pkce:
        asked |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    return urlunsplit(parts._replace(query=urlencode(asked), fragment=""))


def client_of(consent: OAuth2Manifest, candidate: Candidate) -> str:
    """Our client's id at the system, which is no secret."""
    found = consent.bind(candidate.settings).client_id
    assert found is not None  # noqa: S101 - a manifest with a place to consent names its client
    return found.open(_opened(candidate))


def exchange(
    sender: Sender,
    source: Source,
    candidate: Candidate,
    consent: OAuth2Manifest,
    form: Mapping[str, str],
    *,
    request_id: str,
) -> str:
    """The refresh token for a code, which nobody may see: it goes to a store. `form`: code, redirect_uri, code_verifier."""
    bound = consent.bind(candidate.settings)
    if consent.authorise is not None and not consent.authorise.pkce:
        form = {key: value for key, value in form.items() if key != "code_verifier"}
    asking = bound.asking(_opened(candidate), {"grant_type": "authorization_code", **form})
    request = Request("POST", bound.token_url) if isinstance(asking, Signing) else asking
    context = CallContext(
        connection_id=0,
        account=candidate.account,
        lane=int(Lane.ON_DEMAND),
        source=TokenPlace(source.base_url, bound.token_url, source.limits, asking),
        secrets={},
        request_id=request_id,
        steps=Steps(),
        reads=False,
        environment=candidate.environment,
        network=candidate.network,
    )
    tokens: Tokens = tokens_in(sender.send(context, request))
    redactor.add(tokens.access)
    if tokens.refresh is None:
        raise NeedsOperator(
            "no_refresh_token",
            "The system let us in, and gave no token that lasts.",
            hint="It must be asked for lasting access: by a scope such as offline_access, as its manifest says.",
        )
    redactor.add(tokens.refresh)
    return tokens.refresh


def _opened(candidate: Candidate) -> dict[str, str]:
    return {
        name: open_secret(reference, environment=candidate.environment).reveal()
        for name, reference in candidate.secrets.items()
    }


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """A source that only gives out tokens: what is sent to it carries its proof in itself, or gets it as it leaves."""

    base_url: str
    token_url: str
    limits: Limits
    asking: Request | Signing = field(repr=False)
    """What asks for a token, with its proof."""

    @property
    def transport(self) -> Transport:
        return "http"

    @property
    def auth(self) -> "TokenPlace":
        return self

    @property
    def webhooks(self) -> None:
        return None

    @property
    def replaced(self) -> frozenset[str]:
        return frozenset()

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        """As it is, or as of that moment."""
        del request, secrets, held
        asking = self.asking
        if isinstance(asking, Request):
            yield asking
        else:
            yield Signing(lambda moment: replace(asking.make(moment), asked=True))

    def failure(self, response: Response) -> HeadraceError | None:
        """What the endpoint says is read by whoever asked."""
        del response
        return None

    @property
    def stream_names(self) -> Sequence[str]:
        return ()

    def stream(self, name: str) -> Stream:
        raise NotImplementedError(name)

    def discover(self) -> None:
        """It has nothing but tokens."""
