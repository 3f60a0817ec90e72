"""What does a token look like, and how is one known again?

    hr_live_<22 characters: 128 bits><6 characters: CRC-32 of all before>

The prefix and the checksum let scanners of leaked secrets recognise one without asking anybody. Only SHA-256 of it is
stored: with 128 random bits there is nothing to guess, so nothing slower is needed.
"""

import hashlib
import re
import secrets
import zlib

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = re.compile(r"hr_(live|test)_[0-9A-Za-z]{28}")
_BITS, _RANDOM, _CHECK = 128, 22, 6


def make_token(environment: str, *, bits: int | None = None) -> str:
    """A new token; `bits` stands in for chance in tests."""
    number = secrets.randbits(_BITS) if bits is None else bits
    body = f"hr_{environment}_{_base62(number, _RANDOM)}"
    return body + _checksum(body)


def environment_of(token: str) -> str | None:
    """Its environment, or None for what can't be a token of ours: nobody need be asked about that."""
    found = _FORM.fullmatch(token)
    if found is None or _checksum(token[:-_CHECK]) != token[-_CHECK:]:
        return None
    return found[1]


def digest_of(token: str) -> bytes:
    """By which it is stored and found."""
    return hashlib.sha256(token.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def _base62(number: int, width: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits.rjust(width, "0")
