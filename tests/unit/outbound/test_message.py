"""What is sent, and how it is signed."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from servers.receiver import SECRET
from standardwebhooks import Webhook, WebhookVerificationError

from worker.config import Settings
from worker.errors import NeedsOperator
from worker.outbound.message import message_of, open_signers, signed_headers, trial_message
from worker.telemetry.redaction import redactor

CHANGE = {
    "xid": "734", "seq": 22, "kind": "updated", "connection": "plant", "environment": "live", "stream": "orders",
    "key": "a", "version": None, "source_updated_at": None, "observed_at": datetime(2026, 3, 1, tzinfo=UTC),
    "deleted_at": None, "delete_reason": None, "cause_kind": "run", "cause_id": UUID(int=7),
    "raw": '{"price": 1.10,\n"name": "Pümpe \\u0000"}',
}  # fmt: skip


def secret_in(folder: Path, text: str) -> dict[str, str | None]:
    """A subscription that tells of anything, with a secret that is kept there."""
    (folder / "secret").write_text(text)
    return subscription(f"file://{folder / 'secret'}")


def subscription(
    reference: str, *, environment: str | None = None, of: str | None = None
) -> dict[str, str | None]:
    """As its row has it: its own environment, and that of its connection."""
    return {"secret": reference, "environment": environment, "connection_environment": of}


def test_an_event_says_what_when_and_which_and_carries_the_record_as_it_was_sent() -> None:
    message = message_of(CHANGE, 3, subscription=5)
    event = json.loads(message.body)
    assert (event["type"], event["timestamp"]) == ("record.updated", "2026-03-01T00:00:00Z")
    assert (event["data"]["key"], event["data"]["run"]) == ("a", str(UUID(int=7)))
    assert event["data"]["position"] == "3.734.22"
    assert '"price": 1.10' in message.body
    assert message.id == "msg_5_3_734_22"


def test_the_id_is_that_of_the_change_and_not_of_the_attempt() -> None:
    assert message_of(CHANGE, 3, subscription=5).id == message_of(CHANGE, 3, subscription=5).id
    assert message_of(CHANGE | {"seq": 23}, 3, subscription=5).id != message_of(CHANGE, 3, subscription=5).id


def test_the_library_of_the_receivers_accepts_the_signature_and_no_other_body(tmp_path: Path) -> None:
    message = message_of(CHANGE, 3, subscription=5)
    headers = signed_headers(message, open_signers(secret_in(tmp_path, SECRET)), datetime.now(UTC))
    assert Webhook(SECRET).verify(message.body, headers) == json.loads(message.body)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(message.body + " ", headers)


def test_while_a_secret_is_changed_both_are_valid(tmp_path: Path) -> None:
    other = "whsec_" + base64.b64encode(b"n" * 32).decode()
    message = trial_message("hooks", "msg_1", datetime.now(UTC))
    headers = signed_headers(
        message, open_signers(secret_in(tmp_path, f"{other} {SECRET}\n")), datetime.now(UTC)
    )
    for secret in (SECRET, other):
        assert Webhook(secret).verify(message.body, headers)["type"] == "subscription.test"


@pytest.mark.parametrize(
    "text", ["whsec_short", "not base64 at all!!", "whsec_" + "A" * 200, "whsec_=", "whsec_é" * 9]
)
def test_what_cannot_sign_is_said_without_being_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(NeedsOperator) as refusal:
        open_signers(secret_in(tmp_path, text))
    assert refusal.value.code == "bad_signing_secret"
    assert text not in str(refusal.value)


def test_a_secret_that_was_opened_is_redacted(tmp_path: Path) -> None:
    open_signers(secret_in(tmp_path, SECRET))
    assert SECRET not in redactor.redact(f"signed with {SECRET}")


@pytest.mark.parametrize(
    ("reference", "environment", "of", "taken"),
    [
        ("env://TEST_HOOK", "test", None, True),
        ("env://LIVE_HOOK", "test", None, False),
        ("env://LIVE_HOOK", None, "test", False),
        ("env://LIVE_HOOK", None, None, True),
        ("env://TEST_HOOK", None, None, True),
        ("env://OTHER_HOOK", None, None, False),
        ("env://VAULT_TOKEN", None, None, False),
    ],
)
def test_what_signs_is_opened_if_what_it_tells_of_may_have_it(
    monkeypatch: pytest.MonkeyPatch, reference: str, environment: str | None, of: str | None, taken: bool
) -> None:
    settings = Settings(live_secrets=("env://LIVE_",), test_secrets=("env://TEST_",))
    monkeypatch.setattr("worker.secrets.opening.get_settings", lambda: settings)
    for name in ("TEST_HOOK", "LIVE_HOOK", "OTHER_HOOK", "VAULT_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    row = subscription(reference, environment=environment, of=of)
    if taken:
        assert open_signers(row)
        return
    with pytest.raises(NeedsOperator) as refusal:
        open_signers(row)
    assert refusal.value.code in {"secret_outside_environment", "secret_of_headrace"}


def test_nothing_of_headrace_itself_signs_also_where_no_prefixes_are_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", SECRET)
    with pytest.raises(NeedsOperator) as refusal:
        open_signers(subscription("env://VAULT_TOKEN"))
    assert refusal.value.code == "secret_of_headrace"
