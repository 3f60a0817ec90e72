"""Two servers in one process, of which one has a name: neither is sent what logs in to the other, or stands in for it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import hvac
import pytest
from servers.secrets.aws import REGION, Aws
from servers.secrets.bao import Bao, running_bao
from servers.secrets.fresh import Begin

from worker.errors import NeedsOperator
from worker.secrets import (
    Secret,
    StoreUnavailable,
    is_writable,
    open_secret,
    replace_secret,
    stores_away,
    write_secret,
)
from worker.secrets.stores.vault.client import VaultClient
from worker.secrets.stores.vault.server import Server

pytestmark = pytest.mark.integration

LIVE, TEST = "vault://secret/app/cmms#token", "vault+test://secret/app/cmms#token"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """A server for tests, with an AppRole of its own."""
    with running_bao(tmp_path_factory.mktemp("other")) as server:
        server.policy("writes", "secret/data/* read,create,update")
        server.ask("POST", "sys/auth/approle", {"type": "approle"})
        server.ask("POST", "auth/approle/role/headrace", {"token_policies": ["writes"]})
        yield server


@pytest.fixture
def environment(bao: Bao, other: Bao) -> Mapping[str, str]:
    """Where both are and what logs in, each in its own way; the same place in both holds another value."""
    bao.put("app/cmms", token="planted-live-value")
    other.put("app/cmms", token="planted-test-value")
    role = "auth/approle/role/headrace"
    return {
        "VAULT_ADDR": bao.url,
        "VAULT_TOKEN": bao.token("writes"),
        "VAULT_ADDR_TEST": other.url,
        "HEADRACE_VAULT_ROLE_ID_TEST": "env://PLANTED_ROLE",
        "HEADRACE_VAULT_SECRET_ID_TEST": "env://PLANTED_SECRET_ID",
        "PLANTED_ROLE": other.ask("GET", f"{role}/role-id")["data"]["role_id"],
        "PLANTED_SECRET_ID": other.ask("POST", f"{role}/secret-id", {})["data"]["secret_id"],
        "HEADRACE_LIVE_SECRETS": "vault://",
        "HEADRACE_TEST_SECRETS": "vault+test://",
    }


def test_live_and_test_connections_are_bound_to_servers_of_their_own(
    environment: Mapping[str, str], begin: Begin
) -> None:
    begin(environment)
    assert open_secret(LIVE, environment="live").reveal() == "planted-live-value"
    assert open_secret(TEST, environment="test").reveal() == "planted-test-value"
    for reference, wrong in ((LIVE, "test"), (TEST, "live")):
        with pytest.raises(NeedsOperator) as stopped:
            open_secret(reference, environment=wrong)
        assert stopped.value.code == "secret_outside_environment"


def test_what_is_written_goes_to_the_one_that_is_named(
    environment: Mapping[str, str], begin: Begin, bao: Bao, other: Bao
) -> None:
    begin(environment)
    assert is_writable(TEST)
    assert replace_secret(TEST, Secret("planted-test-value"), Secret("planted-test-next"))
    write_secret("vault+test://secret/app/cmms#user", "planted-test-user")
    assert other.fields("app/cmms") == {"token": "planted-test-next", "user": "planted-test-user"}
    assert bao.fields("app/cmms") == {"token": "planted-live-value"}


def test_one_that_is_away_is_not_the_other(environment: Mapping[str, str], begin: Begin) -> None:
    begin({**environment, "VAULT_ADDR_TEST": "http://127.0.0.1:9"})
    with pytest.raises(StoreUnavailable):
        open_secret(TEST)
    assert open_secret(LIVE).reveal() == "planted-live-value"
    assert list(stores_away()) == ["http://127.0.0.1:9"]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("VAULT_ADDR_TEST", "Vault test doesn't let Headrace in: VAULT_ADDR_TEST isn't set"),
        ("HEADRACE_VAULT_ROLE_ID_TEST", "nothing is set to log in with"),
    ],
)
def test_what_is_not_set_for_one_is_not_taken_from_the_other(
    environment: Mapping[str, str], begin: Begin, missing: str, said: str
) -> None:
    begin({name: value for name, value in environment.items() if name != missing})
    with pytest.raises(NeedsOperator, match=said) as stopped:
        open_secret(TEST)
    assert stopped.value.code == "secret_store_login"


def test_a_pods_usual_token_is_sent_to_none_that_has_a_name(
    environment: Mapping[str, str], begin: Begin, tmp_path: Path
) -> None:
    (tmp_path / "jwt").write_text("planted-jwt")
    begin({**environment, "HEADRACE_VAULT_KUBERNETES_JWT": str(tmp_path / "jwt"), "HEADRACE_VAULT_KUBERNETES_ROLE_TEST": "headrace"})  # fmt: skip
    with pytest.raises(NeedsOperator, match="HEADRACE_VAULT_KUBERNETES_JWT_TEST isn't set"):
        open_secret(TEST)


def test_nor_is_its_certificate_or_its_namespace(
    environment: Mapping[str, str], begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin({**environment, "VAULT_NAMESPACE": "live"})
    monkeypatch.setattr(
        hvac.v1, "VAULT_CLIENT_CERT", "/planted/live.pem"
    )  # as the client has read them already
    monkeypatch.setattr(hvac.v1, "VAULT_CACERT", "/planted/authority.pem")
    asks = VaultClient(Server("test"))._logged_in().adapter
    assert (asks.base_uri, asks.namespace) == (environment["VAULT_ADDR_TEST"], None)
    assert (asks._kwargs["cert"], asks._kwargs["verify"]) == ((), True)


def test_an_account_of_aws_that_has_a_name_is_entered_by_its_own_profile(
    aws: Aws, begin: Begin, tmp_path: Path
) -> None:
    name, user = f"app/{uuid4().hex[:8]}", f"user-{uuid4().hex[:8]}"
    aws.client().create_secret(Name=name, SecretString=json.dumps({"token": "planted-test-aws"}))
    key = aws.user(user, "secretsmanager:GetSecretValue")
    (tmp_path / "credentials").write_text(
        "[tests]\n" + "".join(f"{variable.lower()} = {value}\n" for variable, value in key.items())
    )
    common = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_ACCESS_KEY_ID": "planted-live",
        "AWS_SECRET_ACCESS_KEY": "planted-live",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_REGION": "eu-central-1",
    }
    begin(common)
    with pytest.raises(NeedsOperator, match="AWS_PROFILE_TEST isn't set"):
        open_secret(f"aws-sm+test://{name}#token")
    begin({"AWS_PROFILE_TEST": "tests", "AWS_ENDPOINT_URL_TEST": aws.url, "AWS_REGION_TEST": REGION})
    with aws.strict():
        assert open_secret(f"aws-sm+test://{name}#token").reveal() == "planted-test-aws"
    with pytest.raises(StoreUnavailable, match="eu-central-1"):
        open_secret(f"aws-sm://{name}#token")
