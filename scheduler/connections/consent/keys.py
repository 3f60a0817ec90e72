"""The random texts of consent: links, the cookies of browsers that opened them, states, and the proof key of each state.

Of links, cookies and states only digests are stored. The verifier of PKCE isn't stored at all: it is derived from the
state, which only the browser has meanwhile, and a key that no table holds. Pure, but for where the key is kept.
"""

import base64
import hashlib
import hmac
import secrets

from scheduler.embedded.private_files import kept_password, make_private_folder
from worker.config import Settings
from worker.secrets import open_secret

KEY_FILE = "connect-key"


def new_secret() -> str:
    """256 random bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def digest_of(text: str) -> bytes:
    """What is stored of it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def verifier_of(key: bytes, state: str) -> str:
    """PKCE's code verifier (RFC 7636) of this state."""
    return _url(hmac.digest(key, b"pkce\0" + state.encode(), "sha256"))


def challenge_of(verifier: str) -> str:
    """The challenge that goes ahead of it: S256."""
    return _url(hashlib.sha256(verifier.encode()).digest())


def form_proof(session: str) -> str:
    """What our own form sends beside the cookie: nobody else can make it, since nobody else can read the cookie."""
    return _url(hashlib.sha256(b"form\0" + session.encode()).digest())


def proof_key(settings: Settings) -> bytes:
    """The key that verifiers are derived with."""
    if settings.connect_key is not None:
        return hashlib.sha256(open_secret(settings.connect_key).reveal().encode()).digest()
    make_private_folder(settings.home)
    return kept_password(settings.home / KEY_FILE).encode()


def _url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
