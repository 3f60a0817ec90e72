"""Secrets in AWS Secrets Manager, as moto plays it and the official client asks it."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from servers.network.listening import System, answer_of
from servers.secrets.aws import REGION, Aws
from servers.secrets.fresh import Begin

from worker.errors import NeedsOperator
from worker.secrets import (
    Secret,
    StoreUnavailable,
    is_writable,
    open_secret,
    remove_secret,
    replace_secret,
    write_secret,
)
from worker.telemetry.redaction import MASK, redactor

pytestmark = pytest.mark.integration

Enter = Callable[..., None]
ANYBODY = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anybody"}


@pytest.fixture
def enter(aws: Aws, begin: Begin) -> Enter:
    def enter(**more: str) -> None:
        begin({"AWS_ENDPOINT_URL": aws.url, **ANYBODY, **more})

    return enter


@pytest.fixture
def name(aws: Aws) -> str:
    """A secret of this test's own, with two fields."""
    made = f"app/{uuid4().hex[:8]}"
    aws.client().create_secret(
        Name=made, SecretString=json.dumps({"token": "planted-aws-value", "user": "planted-aws-user"})
    )
    return made


def kept(aws: Aws, name: str, stage: str = "AWSCURRENT") -> str:
    return str(aws.client().get_secret_value(SecretId=name, VersionStage=stage)["SecretString"])


def test_a_whole_secret_or_a_field_is_opened_and_all_of_it_is_redacted(enter: Enter, name: str) -> None:
    enter()
    assert open_secret(f"aws-sm://{name}#token").reveal() == "planted-aws-value"
    assert json.loads(open_secret(f"aws-sm://{name}").reveal())["user"] == "planted-aws-user"
    assert redactor.redact("planted-aws-user") == MASK


def test_a_stage_and_a_version_are_pinned_and_never_written(aws: Aws, enter: Enter, name: str) -> None:
    enter()
    before = aws.client().get_secret_value(SecretId=name)["VersionId"]
    write_secret(f"aws-sm://{name}#token", "planted-aws-next")
    assert open_secret(f"aws-sm://{name}#token").reveal() == "planted-aws-next"
    for pinned in (f"aws-sm://{name}#token?stage=AWSPREVIOUS", f"aws-sm://{name}#token?version={before}"):
        assert open_secret(pinned).reveal() == "planted-aws-value"
        assert not is_writable(pinned)
        with pytest.raises(NeedsOperator, match="versions never change"):
            write_secret(pinned, "planted-other")


def test_a_secret_is_named_by_its_arn_too(aws: Aws, enter: Enter, name: str) -> None:
    enter(AWS_REGION="us-east-1")
    arn = aws.client().describe_secret(SecretId=name)["ARN"]
    assert f":{REGION}:" in arn
    assert open_secret(f"aws-sm://{arn}#token").reveal() == "planted-aws-value"


def test_a_secret_that_is_not_there_yet_is_made(aws: Aws, enter: Enter) -> None:
    enter()
    made = f"app/{uuid4().hex[:8]}"
    write_secret(f"aws-sm://{made}#token", "planted-new")
    assert json.loads(kept(aws, made)) == {"token": "planted-new"}
    write_secret(f"aws-sm://{made}-whole", "planted-whole")
    assert kept(aws, f"{made}-whole") == "planted-whole"


def test_a_value_is_replaced_only_if_it_is_the_one_that_was_meant(aws: Aws, enter: Enter, name: str) -> None:
    enter()
    reference = f"aws-sm://{name}#token"
    assert not replace_secret(reference, Secret("planted-zero"), Secret("planted-two"))
    assert replace_secret(reference, Secret("planted-aws-value"), Secret("planted-two"))
    assert json.loads(kept(aws, name)) == {"token": "planted-two", "user": "planted-aws-user"}
    assert json.loads(kept(aws, name, "AWSPREVIOUS"))["token"] == "planted-aws-value"


def test_of_those_who_replace_it_at_the_same_time_one_does(aws: Aws, enter: Enter, name: str) -> None:
    enter()
    reference = f"aws-sm://{name}#token"
    with ThreadPoolExecutor(4) as threads:
        done = list(
            threads.map(
                lambda number: replace_secret(
                    reference, Secret("planted-aws-value"), Secret(f"planted-next-{number}")
                ),
                range(4),
            )
        )
    assert done.count(True) == 1
    assert json.loads(kept(aws, name))["token"] == f"planted-next-{done.index(True)}"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("aws-sm://app/nowhere", "no such secret or version"),
        ("aws-sm://{name}#nothing", "no field of that name"),
        ("aws-sm://{name}#token?stage=NOSUCH", "no such secret or version"),
    ],
)
def test_what_leads_nowhere_is_said_by_its_reference(
    enter: Enter, name: str, reference: str, why: str
) -> None:
    enter()
    with pytest.raises(NeedsOperator, match=why) as caught:
        open_secret(reference.replace("{name}", name))
    assert caught.value.code == "secret_unresolved"
    assert "planted" not in str(caught.value)


def test_a_lost_permission_is_an_error_when_the_value_is_old(
    aws: Aws, begin: Begin, enter: Enter, name: str
) -> None:
    user = f"user-{uuid4().hex[:8]}"
    enter(**aws.user(user, "secretsmanager:GetSecretValue"))
    reference = f"aws-sm://{name}#token"
    with aws.strict():
        open_secret(reference)
    aws.allow(user, "secretsmanager:ListSecrets")
    with aws.strict():
        assert open_secret(reference).reveal() == "planted-aws-value"
        begin.now += 301
        with pytest.raises(NeedsOperator, match="AWS refuses it"):
            open_secret(reference)


@pytest.fixture
def service() -> Iterator[System]:
    """What answers in the service's own words, where moto has others."""
    system = System()
    yield system
    system.close()


def refusal(code: str, status: str = "400 Bad Request") -> bytes:
    return said({"__type": code, "message": f"{code} of somebody"}, status)


def said(answer: object, status: str = "200 OK") -> bytes:
    kind = "Content-Type: application/x-amz-json-1.1"
    return answer_of(json.dumps(answer).encode(), status, kind, "Connection: close")


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "ExpiredTokenException"])
def test_credentials_that_are_refused_are_made_anew_once_and_name_the_log_in(
    enter: Enter, service: System, code: str
) -> None:
    enter(AWS_ENDPOINT_URL=f"http://127.0.0.1:{service.port}")
    service.answer = lambda _: refusal(code)
    with pytest.raises(NeedsOperator, match=f"credentials are refused .{code}.") as caught:
        open_secret("aws-sm://app/x")
    assert caught.value.code == "secret_store_login"
    assert len(service.asked) == 2


def test_credentials_that_have_expired_are_taken_up_anew(enter: Enter, service: System) -> None:
    enter(AWS_ENDPOINT_URL=f"http://127.0.0.1:{service.port}")
    answers = [refusal("ExpiredTokenException"), said({"SecretString": "planted-after", "VersionId": "v"})]
    service.answer = lambda _: answers.pop(0)
    assert open_secret("aws-sm://app/x").reveal() == "planted-after"


@pytest.mark.parametrize(
    ("code", "status"),
    [("InternalServiceError", "500 Oops"), ("ThrottlingException", "400 Bad Request")],
)
def test_a_service_that_can_not_answer_now_is_no_refusal(
    enter: Enter, service: System, code: str, status: str
) -> None:
    enter(AWS_ENDPOINT_URL=f"http://127.0.0.1:{service.port}")
    service.answer = lambda _: refusal(code, status)
    with pytest.raises(StoreUnavailable, match=code):
        open_secret("aws-sm://app/x")


def test_a_service_that_sends_us_elsewhere_is_not_followed(enter: Enter, service: System) -> None:
    elsewhere = System()
    enter(AWS_ENDPOINT_URL=f"http://127.0.0.1:{service.port}")
    to = f"Location: http://127.0.0.1:{elsewhere.port}/"
    service.answer = lambda _: answer_of(b"{}", "307 Elsewhere", to, "Connection: close")
    with pytest.raises((NeedsOperator, StoreUnavailable)):
        open_secret("aws-sm://app/x")
    assert elsewhere.connections == 0
    elsewhere.close()


def test_no_credentials_at_all_are_no_outage(
    enter: Enter, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(NeedsOperator, match="no usable credentials") as caught:
        open_secret(f"aws-sm://{name}")
    assert caught.value.code == "secret_store_login"


def test_a_service_that_is_away_leaves_what_is_held_in_use(
    aws: Aws, begin: Begin, enter: Enter, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter()
    reference = f"aws-sm://{name}#token"
    open_secret(reference)
    begin.now += 301
    from worker.secrets.stores.known import STORES  # noqa: PLC0415 - as it is for this test

    store = STORES["aws-sm"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store._clients._clients.clear()  # type: ignore[attr-defined] # as after a move of the service
    assert open_secret(reference).reveal() == "planted-aws-value"
    with pytest.raises(StoreUnavailable):
        open_secret(f"aws-sm://{name}")


def test_what_was_written_is_taken_away_and_nothing_beside_it(aws: Aws, enter: Enter, name: str) -> None:
    enter()
    remove_secret(f"aws-sm://{name}#token")
    assert json.loads(kept(aws, name)) == {"user": "planted-aws-user"}
    for gone in (f"aws-sm://{name}#token", f"aws-sm://{name}#user", f"aws-sm://{name}"):
        remove_secret(gone)
    with pytest.raises(NeedsOperator, match="no such secret"):
        open_secret(f"aws-sm://{name}", fresh=True)
