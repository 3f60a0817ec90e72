"""The stores, each started once for a session, and a process that has just begun to use them."""

from collections.abc import Iterator

import pytest
from servers.secrets.aws import REGION, Aws, running_aws
from servers.secrets.azure import Azure, running_azure
from servers.secrets.bao import Bao, running_bao
from servers.secrets.fresh import Begin

from worker.config import get_settings


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """One OpenBao for the session: don't seal it. Version 1 of the key-value engine is at `old/`, and at `team/kv/`."""
    with running_bao(tmp_path_factory.mktemp("bao")) as server:
        for path in ("old", "team/kv"):
            server.ask("POST", f"sys/mounts/{path}", {"type": "kv", "options": {"version": "1"}})
        server.ask("POST", "sys/auth/approle", {"type": "approle"})
        server.policy("reads", "secret/data/* read", "old/* read", "team/kv/* read")
        server.policy("writes", "secret/data/* read,create,update", "old/* read,create,update")
        yield server


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_aws(tmp_path_factory.mktemp("aws")) as server:
        yield server


@pytest.fixture
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    with running_azure(tmp_path_factory.mktemp("azure")) as server:
        yield server


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    for name in (
        "VAULT_ADDR",
        "VAULT_TOKEN",
        "VAULT_NAMESPACE",
        "VAULT_CACERT",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "IDENTITY_ENDPOINT",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield Begin(monkeypatch)
    get_settings.cache_clear()
