"""Secrets in Azure Key Vault: the official client, with a managed identity, against the service's REST surface over TLS."""

import pytest
from servers.network.listening import System
from servers.secrets.azure import Azure
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


@pytest.fixture(autouse=True)
def _entered(azure: Azure, begin: Begin) -> None:
    begin(azure.environment)


def test_the_latest_version_is_opened_or_the_one_that_is_named(azure: Azure) -> None:
    first = azure.put("cmms", "planted-azure-first")
    azure.put("cmms", "planted-azure-second")
    assert open_secret("azure-kv://plant/cmms").reveal() == "planted-azure-second"
    assert open_secret(f"azure-kv://plant/cmms/{first}").reveal() == "planted-azure-first"
    assert redactor.redact("planted-azure-first") == MASK


def test_vaults_and_secrets_have_no_case(azure: Azure) -> None:
    azure.put("cmms", "planted-azure-value")
    assert open_secret("azure-kv://Plant/CMMS").reveal() == "planted-azure-value"


def test_a_value_is_written_as_a_new_version(azure: Azure) -> None:
    first = azure.put("cmms", "planted-azure-first")
    write_secret("azure-kv://plant/cmms", "planted-azure-second")
    assert azure.secrets["cmms"][-1][1] == "planted-azure-second"
    assert open_secret("azure-kv://plant/cmms").reveal() == "planted-azure-second"
    pinned = f"azure-kv://plant/cmms/{first}"
    assert is_writable("azure-kv://plant/cmms")
    assert not is_writable(pinned)
    with pytest.raises(NeedsOperator, match="versions never change"):
        write_secret(pinned, "planted-other")


def test_a_value_is_replaced_only_if_it_is_the_one_that_was_meant(azure: Azure) -> None:
    azure.put("cmms", "planted-azure-first")
    assert not replace_secret("azure-kv://plant/cmms", Secret("planted-zero"), Secret("planted-two"))
    assert replace_secret("azure-kv://plant/cmms", Secret("planted-azure-first"), Secret("planted-two"))
    assert [value for _, value in azure.secrets["cmms"]] == ["planted-azure-first", "planted-two"]


def test_what_is_not_there_is_said_by_its_reference() -> None:
    with pytest.raises(
        NeedsOperator, match="azure-kv://plant/nowhere can't be opened: there is no such secret"
    ):
        open_secret("azure-kv://plant/nowhere")


def test_a_lost_permission_is_an_error_when_the_value_is_old(azure: Azure, begin: Begin) -> None:
    azure.put("cmms", "planted-azure-value")
    open_secret("azure-kv://plant/cmms")
    azure.refuses = (403, "Forbidden")
    assert open_secret("azure-kv://plant/cmms").reveal() == "planted-azure-value"
    begin.now += 301
    with pytest.raises(NeedsOperator, match=r"Azure refuses it \(403 Forbidden\)"):
        open_secret("azure-kv://plant/cmms")


def test_a_service_that_is_away_leaves_what_is_held_in_use(azure: Azure, begin: Begin) -> None:
    azure.put("cmms", "planted-azure-value")
    azure.put("other", "planted-azure-other")
    open_secret("azure-kv://plant/cmms")
    azure.refuses = (503, "Unavailable")
    begin.now += 301
    assert open_secret("azure-kv://plant/cmms").reveal() == "planted-azure-value"
    with pytest.raises(StoreUnavailable, match="503 Unavailable"):
        open_secret("azure-kv://plant/other")
    azure.refuses = None
    begin.now += 6
    assert open_secret("azure-kv://plant/other").reveal() == "planted-azure-other"


def test_a_token_that_is_no_longer_taken_is_exchanged_for_another(azure: Azure, begin: Begin) -> None:
    azure.put("cmms", "planted-azure-value")
    open_secret("azure-kv://plant/cmms")
    azure.tokens.append("another that nobody has")
    with pytest.raises(NeedsOperator) as caught:
        open_secret("azure-kv://plant/cmms", fresh=True)
    assert caught.value.code == "secret_store_login"


def test_a_vault_that_sends_us_elsewhere_is_not_followed(azure: Azure) -> None:
    elsewhere = System()
    azure.elsewhere = f"http://127.0.0.1:{elsewhere.port}/secrets/cmms/"
    with pytest.raises(NeedsOperator, match=r"Azure refuses it \(307\)"):
        open_secret("azure-kv://plant/cmms")
    assert elsewhere.connections == 0
    elsewhere.close()


def test_without_an_identity_it_is_said_where_to_read_about_it(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin({"AZURE_CLIENT_ID": "", "PATH": "/nowhere"})
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_CLIENT_ID"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    with pytest.raises(NeedsOperator, match="no identity is to be had here"):
        open_secret("azure-kv://plant/cmms")


def test_what_was_written_is_taken_away(azure: Azure) -> None:
    write_secret("azure-kv://plant/typed", "planted-azure-typed")
    for _ in range(2):
        remove_secret("azure-kv://plant/typed")
    assert "typed" not in azure.secrets
