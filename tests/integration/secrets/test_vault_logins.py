"""How Headrace gets into a Vault over TLS: as a pod of Kubernetes, with a certificate, in a namespace; and into which it doesn't."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.network.certificates import Authority
from servers.network.listening import System, answer_of
from servers.secrets.bao import ROOT, Bao, running_bao
from servers.secrets.cluster import REVIEWER, Cluster, running_cluster
from servers.secrets.fresh import Begin

from worker.errors import NeedsOperator
from worker.secrets import StoreUnavailable, open_secret
from worker.telemetry.redaction import MASK, redactor

pytestmark = pytest.mark.integration

REFERENCE = "vault://secret/pod/cmms#token"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Bao]:
    """One that speaks TLS, and lets pods of the cluster in."""
    with running_bao(tmp_path_factory.mktemp("bao"), tls=True) as server:
        server.put("pod/cmms", token="planted-for-a-pod")
        server.policy("pods", "secret/data/pod/* read")
        server.ask("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        about = {
            "kubernetes_host": cluster.url,
            "kubernetes_ca_cert": cluster.authority,
            "token_reviewer_jwt": REVIEWER,
            "disable_local_ca_jwt": True,
        }
        server.ask("POST", "auth/kubernetes/config", about)
        role = {
            "bound_service_account_names": ["headrace"],
            "bound_service_account_namespaces": ["plant"],
            "token_policies": ["pods"],
        }
        server.ask("POST", "auth/kubernetes/role/headrace", role)
        yield server


@pytest.fixture
def trusting(bao: Bao) -> dict[str, str]:
    return {"VAULT_ADDR": bao.url, "VAULT_CACERT": str(bao.authority)}


def as_pod(folder: Path, token: str) -> dict[str, str]:
    """The environment of a pod whose token is projected into a file."""
    (folder / "jwt").write_text(token)
    return {
        "HEADRACE_VAULT_KUBERNETES_ROLE": "headrace",
        "HEADRACE_VAULT_KUBERNETES_JWT": str(folder / "jwt"),
    }


def test_a_pod_logs_in_by_its_service_account_and_again_with_the_token_that_came_instead(
    bao: Bao,
    cluster: Cluster,
    trusting: dict[str, str],
    begin: Begin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.secrets.stores.vault.client.FRESH", 0.0)
    first = cluster.token("headrace")
    begin(trusting | as_pod(tmp_path, first))
    assert open_secret(REFERENCE).reveal() == "planted-for-a-pod"
    assert redactor.redact(first) == MASK
    before = cluster.reviewed
    assert open_secret(REFERENCE, fresh=True).reveal() == "planted-for-a-pod"
    assert cluster.reviewed == before, "it is logged in still"

    cluster.tokens.clear()  # the old one has expired, as has what it was exchanged for
    for accessor in bao.ask("LIST", "auth/token/accessors")["data"]["keys"]:
        about = bao.ask("POST", "auth/token/lookup-accessor", {"accessor": accessor})["data"]
        if about["path"] == "auth/kubernetes/login":
            bao.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    as_pod(tmp_path, cluster.token("headrace"))
    assert open_secret(REFERENCE, fresh=True).reveal() == "planted-for-a-pod"


@pytest.mark.parametrize("account", ["another", "expired", "no jwt"])
def test_a_pod_that_is_not_let_in_is_told_so_and_no_byte_of_its_token(
    cluster: Cluster, trusting: dict[str, str], begin: Begin, tmp_path: Path, account: str
) -> None:
    token = "planted-nonsense" if account == "no jwt" else cluster.token(account)
    if account == "expired":
        cluster.tokens.clear()
    begin(trusting | as_pod(tmp_path, token))
    with pytest.raises(NeedsOperator, match="refuses what Headrace logs in with") as caught:
        open_secret(REFERENCE)
    assert caught.value.code == "secret_store_login"
    assert "docs/secrets.md" in str(caught.value.hint)
    assert token not in f"{caught.value} {caught.value.hint}"


def test_a_pod_without_a_token_says_which_file_is_missing(
    trusting: dict[str, str], begin: Begin, tmp_path: Path
) -> None:
    begin(trusting | as_pod(tmp_path, "x") | {"HEADRACE_VAULT_KUBERNETES_JWT": str(tmp_path / "none")})
    with pytest.raises(NeedsOperator, match=f"{tmp_path}/none can't be opened: no such file"):
        open_secret(REFERENCE)


def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing_whatever_is_set(
    bao: Bao, trusting: dict[str, str], begin: Begin
) -> None:
    begin({"VAULT_ADDR": bao.url, "VAULT_TOKEN": bao.token("pods"), "VAULT_SKIP_VERIFY": "true"})
    with pytest.raises(StoreUnavailable, match="its certificate isn't trusted here"):
        open_secret(REFERENCE)
    begin(trusting)
    assert open_secret(REFERENCE).reveal() == "planted-for-a-pod"


@pytest.mark.parametrize("name", ["VAULT_CACERT", "VAULT_CLIENT_CERT"])
def test_a_certificate_that_is_not_there_is_said_by_the_name_of_its_variable(
    bao: Bao, trusting: dict[str, str], begin: Begin, name: str
) -> None:
    begin(trusting | {"VAULT_TOKEN": bao.token("pods"), name: "/nowhere.pem"})
    with pytest.raises(NeedsOperator, match=f"there is nothing where {name} leads") as caught:
        open_secret(REFERENCE)
    assert caught.value.code == "secret_store_login"


def test_a_namespace_is_asked_for_its_own_secrets(bao: Bao, trusting: dict[str, str], begin: Begin) -> None:
    bao.ask("POST", "sys/namespaces/team", {})
    bao.ask("POST", "team/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    bao.ask("POST", "team/secret/data/pod/cmms", {"data": {"token": "planted-for-a-team"}})
    begin(trusting | {"VAULT_TOKEN": ROOT, "VAULT_NAMESPACE": "team"})
    assert open_secret(REFERENCE).reveal() == "planted-for-a-team"


def says(head: bytes) -> bytes:
    """As a Vault does."""
    if head.startswith(b"GET /v1/sys/internal/ui/mounts/"):
        told = {"data": {"type": "kv", "path": "secret/", "options": {"version": "1"}}}
    else:
        told = {"data": {"token": "planted-over-tls"}}
    return answer_of(json.dumps(told).encode())


def test_a_server_that_asks_for_a_certificate_is_shown_ours(begin: Begin, tmp_path: Path) -> None:
    ours, strangers = Authority("Ours"), Authority("Strangers")
    server = System(ours.issue("vault", ["127.0.0.1"]).server_context(tmp_path, clients_of=ours))
    server.answer = says
    (tmp_path / "ca.pem").write_text(ours.certificate)
    for name, issued in (("mine", ours.issue("headrace")), ("strange", strangers.issue("somebody"))):
        (tmp_path / f"{name}.pem").write_text(issued.certificate)
        (tmp_path / f"{name}.key").write_text(issued.key)
    shown = {"VAULT_CLIENT_CERT": str(tmp_path / "mine.pem"), "VAULT_CLIENT_KEY": str(tmp_path / "mine.key")}
    environment = {
        "VAULT_ADDR": f"https://127.0.0.1:{server.port}",
        "VAULT_CACERT": str(tmp_path / "ca.pem"),
        "VAULT_TOKEN": "planted-token",
    }
    try:
        begin(environment | shown)
        assert open_secret(REFERENCE).reveal() == "planted-over-tls"
        assert server.clients == ["headrace"]
        begin({name: path.replace("mine", "strange") for name, path in shown.items()})
        with pytest.raises(StoreUnavailable, match="it asks for a certificate that it trusts"):
            open_secret(REFERENCE)
    finally:
        server.close()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Elsewhere", "308 For Good"])
def test_what_headrace_logs_in_with_follows_no_redirect(begin: Begin, status: str) -> None:
    elsewhere, server = System(), System()
    elsewhere.answer = says
    server.answer = lambda _: answer_of(b"", status, f"Location: http://127.0.0.1:{elsewhere.port}/v1/x")
    begin({"VAULT_ADDR": f"http://127.0.0.1:{server.port}", "VAULT_TOKEN": "planted-token"})
    try:
        with pytest.raises(StoreUnavailable, match="VAULT_ADDR must name the server itself"):
            open_secret(REFERENCE)
        assert len(server.asked) == 1
        assert elsewhere.connections == 0
    finally:
        server.close()
        elsewhere.close()
