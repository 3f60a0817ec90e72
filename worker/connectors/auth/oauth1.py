"""How is a request signed by OAuth 1.0a (RFC 5849)? With a consumer's secret and a token's, over method, URL and parameters."""

import base64
import hmac
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

from worker.connectors.auth.values import Credential, open_named, with_header
from worker.connectors.contract import Moment, Request, Response, Signing, Step

METHODS: Mapping[str, str] = {"HMAC-SHA256": "sha256", "HMAC-SHA512": "sha512", "HMAC-SHA1": "sha1"}
_PORTS = {"http": 80, "https": 443}
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class OAuth1Auth:
    """The auth of one connection."""

    consumer_key: Credential
    consumer_secret: str
    token: Credential | None = None
    token_secret: str | None = None
    realm: str | None = None
    method: str = "HMAC-SHA256"

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        del held
        yield Signing(lambda moment: self.signed(request, secrets, moment))

    def signed(self, request: Request, secrets: Mapping[str, str], moment: Moment) -> Request:
        """The request as it is sent at that moment."""
        own = {
            "oauth_consumer_key": self.consumer_key.open(secrets),
            "oauth_nonce": moment.nonce,
            "oauth_signature_method": self.method,
            "oauth_timestamp": str(int(moment.now.timestamp())),
            "oauth_version": "1.0",
        }
        if self.token is not None:
            own["oauth_token"] = self.token.open(secrets)
        text = base_string(request.method, moment.url_of(request), [*own.items(), *_form(request)])
        secret, token_secret = (
            "" if name is None else open_named(secrets, name)
            for name in (self.consumer_secret, self.token_secret)
        )
        own["oauth_signature"] = signature_of(self.method, text, secret, token_secret)
        parts = [f'{name}="{_encoded(value)}"' for name, value in sorted(own.items())]
        if self.realm is not None:
            parts.insert(0, f'realm="{_quoted(self.realm)}"')
        return with_header(request, "Authorization", "OAuth " + ", ".join(parts))


def signature_of(method: str, text: str, consumer_secret: str, token_secret: str) -> str:
    """Of a base string (3.4.2)."""
    key = f"{_encoded(consumer_secret)}&{_encoded(token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), text.encode(), METHODS[method]).digest()).decode()


def base_string(method: str, url: str, params: Iterable[tuple[str, str]]) -> str:
    """What is signed (3.4.1): the parameters are those of the query, of the header without its realm, and of a form."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    if parts.port is not None and parts.port != _PORTS.get(parts.scheme):
        host += f":{parts.port}"
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *params]
    written = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    normal = "&".join(f"{name}={value}" for name, value in written)
    return "&".join(map(_encoded, (method.upper(), f"{parts.scheme}://{host}{parts.path or '/'}", normal)))


def _form(request: Request) -> list[tuple[str, str]]:
    """What the body holds, if it is a form (3.4.1.3.1)."""
    kind = next((value for name, value in request.headers.items() if name.lower() == "content-type"), "")
    if request.body is None or kind.partition(";")[0].strip().lower() != _FORM:
        return []
    return parse_qsl(request.body.decode(), keep_blank_values=True)


def _encoded(text: str) -> str:
    """As 3.6 has it: all but letters, digits and -._~ by their bytes, in upper case."""
    return quote(text, safe="-._~")


def _quoted(text: str) -> str:
    """A realm stands as it is, but can't end its quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
