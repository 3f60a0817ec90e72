"""Which references there are, and that none of them can seem to lead elsewhere than it does."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.connections.consent.places import reference_for
from worker.config import Settings
from worker.errors import InvalidInput, NeedsOperator
from worker.secrets import (
    Reference,
    Secret,
    check_reference,
    is_within,
    is_writable,
    open_secret,
    parse_reference,
    write_secret,
)
from worker.secrets.stores import extra

VERSION = "0123456789abcdef0123456789abcdef"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:live/cmms-AbCdEf"


@pytest.mark.parametrize(
    "text",
    [
        "vault://secret/app/cmms#token",
        "vault://team/kv/app#api-key?version=3",
        "aws-sm://live/cmms",
        "aws-sm://live/cmms#token",
        "aws-sm://live/cmms#token?stage=AWSPREVIOUS",
        f"aws-sm://live/cmms?version={VERSION}",
        f"aws-sm://{ARN}#token",
        "azure-kv://plant/cmms-token",
        f"azure-kv://plant/cmms-token/{VERSION}",
        "vault+test://secret/app/cmms#token",
        "aws-sm+plant2://live/cmms#token",
    ],
)
def test_a_reference_reads_back_as_it_was_written(text: str) -> None:
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "vault://secret",
        "vault://secret/app",
        "vault://secret/app#",
        "vault://secret/app#key?version=0",
        "vault://secret/app#key?stage=x",
        "vault://secret/app#a#b",
        "vault://secret//app#key",
        "vault:///secret/app#key",
        "vault://secret/app/#key",
        "vault://live/../test/app#key",
        "vault://live/./app#key",
        "vault://live/%2e%2e/test/app#key",
        "vault://live/..%2ftest/app#key",
        "vault://live\\..\\test/app#key",
        "vault://live/app\n#key",
        "vault://live/äpp#key",
        "vault://live/*#key",
        "aws-sm://?stage=X",
        "aws-sm://live/../test/cmms",
        "aws-sm://live/cmms?stage=",
        "aws-sm://live/cmms?stage=a&version=b",
        "aws-sm://arn:aws:s3:::bucket",
        "aws-sm://live/cm%6ds",
        "azure-kv://plant",
        "azure-kv://plant/a/b",
        "azure-kv://plant.evil.example/cmms",
        "azure-kv://plant/../cmms",
        "azure-kv://plant@evil/cmms",
        "file:///run/live/../test/token",
        "file:///run/./token",
        "env://LIVE_TOKEN/../X",
    ],
)
def test_what_could_lead_elsewhere_than_it_seems_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_reference(text)
    assert caught.value.code == "bad_secret_reference"
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "scheme",
    ["vault+", "vault+Test", "vault+a-b", "vault+a+b", "vault+2", "env+a", "file+a", "azure-kv+a", "+a"],
)
def test_no_other_store_has_a_name(scheme: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_reference(f"{scheme}://secret/app#token")
    assert caught.value.code in {"unknown_secret_scheme", "plain_secret"}


def test_a_store_with_a_name_is_not_within_the_one_without_and_may_be_all_that_an_environment_has() -> None:
    settings = Settings(live_secrets=("vault://",), test_secrets=("vault+test://",))
    for environment, good, bad in (("live", "vault", "vault+test"), ("test", "vault+test", "vault")):
        check_reference(f"{good}://secret/app#key", environment=environment, settings=settings)
        for other in (bad, "vault+tests"):
            with pytest.raises(InvalidInput, match="outside of what"):
                check_reference(f"{other}://secret/app#key", environment=environment, settings=settings)


@pytest.mark.parametrize(
    "store", ["vault://secret/typed/", "vault+test://secret/typed/", "aws-sm+test://typed/"]
)
def test_what_is_typed_in_may_be_put_into_a_store_with_a_name(store: str) -> None:
    place = reference_for(store, "Plant North", "3f9c", "token")
    assert str(parse_reference(place)) == place
    assert is_within(parse_reference(place), [store])
    with pytest.raises(InvalidInput):
        reference_for(store.replace("vault", "env").replace("aws-sm", "env"), "Plant North", "3f9c", "token")


LIVE = Settings(live_secrets=("vault://live/", "env://LIVE_"), test_secrets=("azure-kv://Plant-Test/",))


@pytest.mark.parametrize("text", ["vault://live/app#key", "env://LIVE_TOKEN"])
def test_a_reference_within_what_its_environment_allows_is_taken(text: str) -> None:
    assert str(check_reference(text, environment="live", settings=LIVE)) == text


@pytest.mark.parametrize(
    "text",
    [
        "vault://test/app#key",
        "vault://live2/app#key",
        "env://TEST_TOKEN",
        "env://live_token",
        "file:///live/x",
        "aws-sm://live/app",
    ],
)
def test_a_reference_outside_of_it_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_reference(text, environment="live", name="token", settings=LIVE)
    assert caught.value.code == "secret_outside_environment"
    assert text not in str(caught.value)
    assert "vault://live/ or env://LIVE_" in str(caught.value)


def test_prefixes_of_azure_have_no_case() -> None:
    check_reference("azure-kv://PLANT-test/x", environment="test", settings=LIVE)


def test_without_prefixes_an_environment_may_use_any_reference() -> None:
    check_reference("env://ANYTHING", environment="live", settings=Settings())


def test_a_secret_is_opened_for_the_environment_that_it_belongs_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVE_TOKEN", "planted-live")
    monkeypatch.setattr(
        "worker.secrets.opening.get_settings", lambda: Settings(test_secrets=("env://TEST_",))
    )
    assert open_secret("env://LIVE_TOKEN", environment="live").reveal() == "planted-live"
    with pytest.raises(NeedsOperator) as caught:
        open_secret("env://LIVE_TOKEN", environment="test")
    assert caught.value.code == "secret_outside_environment"


@given(st.text(max_size=40), st.sampled_from(["vault", "vault+test", "aws-sm", "azure-kv", "file", "env"]))
def test_whatever_is_taken_is_one_text_without_ways_up_or_encodings(rest: str, scheme: str) -> None:
    try:
        reference = parse_reference(f"{scheme}://{rest}")
    except InvalidInput:
        return
    text = str(reference)
    assert parse_reference(text) == reference
    assert not {".", ".."} & set(reference.name.partition("#")[0].split("/"))
    assert scheme == "file" or "%" not in reference.name.partition("#")[0]
    assert is_within(reference, [text])


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("vault://secret/app#token", "headrace[vault]"),
        ("aws-sm://app", "headrace[aws]"),
        ("azure-kv://plant/app", "headrace[azure]"),
    ],
)
def test_a_client_that_is_not_installed_is_named_by_its_extra(
    monkeypatch: pytest.MonkeyPatch, reference: str, name: str
) -> None:
    def missing(module: str) -> object:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module.split(".", maxsplit=1)[0])

    monkeypatch.setattr(extra, "import_module", missing)
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    with pytest.raises(NeedsOperator) as caught:
        open_secret(reference, fresh=True)
    assert caught.value.code == "secret_client_missing"
    assert f"pip install '{name}'" in str(caught.value)


def test_an_environment_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_writable("env://TOKEN")
    with pytest.raises(NeedsOperator) as caught:
        write_secret("env://TOKEN", "planted-value")
    assert caught.value.code == "secret_not_writable"
    assert "planted-value" not in str(caught.value)


def test_a_secret_can_be_neither_pickled_nor_printed_and_is_equal_by_its_value() -> None:
    secret = Secret("planted-value")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert copy.deepcopy(secret) is secret
    assert secret == Secret("planted-value") != Secret("planted-other")
    assert repr(Reference("env", "X")) == "Reference(scheme='env', name='X')"
