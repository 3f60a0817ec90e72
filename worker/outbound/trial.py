"""Does a subscription's receiver take what we send? One message, sent now, that says it is a test."""

from datetime import UTC, datetime
from uuid import uuid4

import structlog
from psycopg.rows import DictRow

from worker.outbound.address import read_target
from worker.outbound.message import open_signers, trial_message
from worker.outbound.post import Courier
from worker.outbound.retry import Failed


def send_trial(subscription: DictRow, *, loopback: bool) -> Failed | None:
    """None: it was taken. Raises `NeedsOperator` where its secret can't be opened here, or can't sign."""
    courier = Courier(loopback=loopback)
    try:
        signers = open_signers(subscription)
        message = trial_message(subscription["name"], f"msg_test_{uuid4()}", datetime.now(UTC))
        request_id = structlog.contextvars.get_contextvars().get("request_id") or f"test-{uuid4()}"
        return courier.carry(read_target(subscription["url"]), message, signers, request_id)
    finally:
        courier.close()
