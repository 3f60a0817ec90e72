"""Whom does a connection trust, and by what does it show who we are?

Promises: certificates and host names are always checked. A key never lies on a disk: OpenSSL reads it from memory. What
can't be read as a certificate or a key is refused without a byte of it.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from worker.errors import NeedsOperator

CERTIFICATE = "-----BEGIN CERTIFICATE-----"


def trusted() -> ssl.SSLContext:
    """Certificates of the operating system's store and certifi's."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def trusting(ca: str) -> ssl.SSLContext:
    """Those that these authorities vouch for, and no others. `ca`: PEM, one certificate after the other."""
    return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=_certificates(ca, "ca"))


def trusting_too(ca: str) -> ssl.SSLContext:
    """The same beside those that are trusted anyway."""
    context = trusted()
    context.load_verify_locations(cadata=_certificates(ca, "ca"))
    return context


def authorities(ca: str | None) -> bytes:
    """As PEM, for who reads them from a file: those that the connection's `ca` holds, or those that are trusted anyway."""
    if ca is not None:
        return _certificates(ca, "ca").encode("ascii", "replace")
    found = trusted().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode()


def show(context: ssl.SSLContext, certificate: str, key: str, password: str | None) -> None:
    """From here on, whoever asks is shown this certificate. `key` is empty where it stands beside the certificate."""
    _certificates(certificate, "client_certificate")
    with in_memory(f"{certificate}\n{key}\n".encode("ascii", "replace")) as path:
        try:
            # Always a function: without one, OpenSSL asks the terminal.
            context.load_cert_chain(path, password=lambda: password or "")
        except (ssl.SSLError, OSError, ValueError):
            raise NeedsOperator(
                "bad_client_certificate",
                "The connection's client certificate and its key don't belong together, or can't be read.",
                hint="Both must be PEM; a key that is encrypted needs network.client_key_password.",
            ) from None


def _certificates(text: str, name: str) -> str:
    """The text, if certificates stand in it; whatever else does is left out, as a key may be among it."""
    found = "\n".join(_blocks(text))
    try:
        if found:
            ssl.create_default_context(cadata=found)
            return found
    except (ssl.SSLError, ValueError):
        pass
    raise NeedsOperator(
        "bad_certificate",
        f"What network.{name} of the connection leads to holds no certificate that can be read.",
        hint=f"It must be PEM: lines between {CERTIFICATE} and its end.",
    )


def _blocks(text: str) -> Iterator[str]:
    for block in text.split(CERTIFICATE)[1:]:
        yield f"{CERTIFICATE}{block.partition('-----END CERTIFICATE-----')[0]}-----END CERTIFICATE-----"


@contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """A path for OpenSSL, which reads certificates from files alone."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("certificate"), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.NamedTemporaryFile() as file:  # of its owner alone, and gone when it was read
        file.write(content)
        file.flush()
        yield file.name
