"""What is sent? One message for each change, signed as Standard Webhooks has it (https://www.standardwebhooks.com).

    webhook-id          the same for each attempt to deliver the same change: receivers tell repeats by it
    webhook-timestamp   when this attempt was signed, in seconds since 1970
    webhook-signature   v1,<base64>, one for each secret: while a secret is changed, both are valid

The secret is opened to sign and for nothing else.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from worker.errors import NeedsOperator
from worker.feed.wording import change_json, time_of
from worker.secrets import EITHER, open_secret
from worker.telemetry.redaction import redactor

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret, by the specification."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event, ready to be signed."""

    id: str
    body: str


def message_of(change: Mapping[str, Any], epoch: int, *, subscription: int) -> Message:
    """The event of a change. Its id is made of the change's place in the feed."""
    when = time_of(change).astimezone(UTC).isoformat().replace("+00:00", "Z")
    head = json.dumps({"type": f"record.{change['kind']}", "timestamp": when})
    body = f'{head[:-1]}, "data": {change_json(change, epoch)}}}'
    return Message(f"msg_{subscription}_{epoch}_{change['xid']}_{change['seq']}", body)


def trial_message(subscription: str, identifier: str, now: datetime) -> Message:
    """What `subscriptions test` sends."""
    when = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    data = {"subscription": subscription}
    return Message(identifier, json.dumps({"type": "subscription.test", "timestamp": when, "data": data}))


def open_signers(subscription: Mapping[str, Any]) -> list[Webhook]:
    """What signs with its secret, or with each of several with a space between. Raises `NeedsOperator`, also where the
    reference is none that what it tells of may have.
    """
    reference = subscription["secret"]
    found = open_secret(reference, environment=environment_of(subscription))
    return [_signer(text, reference) for text in found.reveal().split()]


def environment_of(subscription: Mapping[str, Any]) -> str:
    """Of what it tells of: one that was made without limits may tell of both."""
    return subscription["environment"] or subscription.get("connection_environment") or EITHER


def signed_headers(message: Message, signers: Sequence[Webhook], now: datetime) -> dict[str, str]:
    """The headers of one attempt."""
    return {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signer.sign(message.id, now, message.body) for signer in signers),
    }


def _signer(text: str, reference: str) -> Webhook:
    redactor.add(text)
    try:
        coded = text.removeprefix(PREFIX)
        key = base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not SHORTEST <= len(key) <= LONGEST:
        raise NeedsOperator(
            "bad_signing_secret",
            f"What is behind {reference} can't sign events.",
            hint="It must be whsec_ and 24 to 64 random bytes in base64: `openssl rand -base64 32` makes some.",
        )
    return Webhook(key)
