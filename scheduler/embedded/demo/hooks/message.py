"""What does a webhook of the demo system say, and how is it signed? Standard Webhooks, with the time in what is signed."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.embedded.demo.plant.memory.store import PURGED
from scheduler.embedded.demo.plant.schema import Record, iso

PREFIX = "whsec_"


class BadSecret(ValueError):
    """A secret that signs nothing, and why."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event, as it is sent however often."""

    id: str
    body: bytes
    held_back: bool = False
    """It is sent behind the next one: somebody on the way overtook it."""


def key_of(secret: str) -> bytes:
    """The key in `whsec_` and base64."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not key:
        raise BadSecret("The secret of webhooks is whsec_ and base64: echo whsec_$(openssl rand -base64 32)")
    return key


def body_of(entity: str, record: Record, now: int) -> bytes:
    """It names the record and doesn't show it: who wants to know asks for it as it is then."""
    told = {
        "type": f"{entity.removesuffix('s')}.{_change(record)}",
        "timestamp": iso(now),
        "data": {"id": record["id"]},
    }
    return json.dumps(told).encode()


def _change(record: Record) -> str:
    if PURGED in record or record["deleted_at"] is not None:
        return "deleted"
    return "created" if record["created_at"] == record["updated_at"] else "updated"


def headers_of(message: Message, keys: Sequence[bytes], seconds: int) -> dict[str, str]:
    """A signature for each key, so that a receiver may know either while they are rotated."""
    signed = f"{message.id}.{seconds}.".encode() + message.body
    digests = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{digest}" for digest in digests),
    }
