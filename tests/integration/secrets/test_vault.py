"""Secrets in a real OpenBao: what is read, what is written, and what is said when it can't be."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from servers.secrets.bao import ROOT, Bao, running_bao
from servers.secrets.fresh import Begin
from servers.waiting import wait_until

from worker.errors import NeedsOperator
from worker.secrets import (
    Secret,
    StoreUnavailable,
    is_writable,
    open_secret,
    remove_secret,
    replace_secret,
    stores_away,
    write_secret,
)
from worker.telemetry.redaction import MASK, redactor

pytestmark = pytest.mark.integration

Enter = Callable[..., None]


@pytest.fixture
def enter(bao: Bao, begin: Begin) -> Enter:
    """A process that has just begun, with a token of this policy."""

    def enter(policy: str = "writes", ttl: str = "1h", **more: str) -> None:
        begin({"VAULT_ADDR": bao.url, "VAULT_TOKEN": bao.token(policy, ttl), **more})

    return enter


def test_a_field_is_opened_and_redacted_with_its_neighbours(bao: Bao, enter: Enter) -> None:
    bao.put("app/cmms", token="planted-vault-value", other="planted-vault-neighbour")
    enter()
    assert open_secret("vault://secret/app/cmms#token").reveal() == "planted-vault-value"
    assert redactor.redact("planted-vault-value, planted-vault-neighbour") == f"{MASK}, {MASK}"


def test_a_version_that_is_pinned_stays_and_is_never_written(bao: Bao, enter: Enter) -> None:
    first = bao.put("app/pinned", token="planted-first")
    bao.put("app/pinned", token="planted-second")
    enter()
    assert open_secret("vault://secret/app/pinned#token").reveal() == "planted-second"
    pinned = f"vault://secret/app/pinned#token?version={first}"
    assert open_secret(pinned).reveal() == "planted-first"
    assert not is_writable(pinned)
    with pytest.raises(NeedsOperator, match="versions never change"):
        write_secret(pinned, "planted-third")


@pytest.mark.parametrize("mount", ["old", "team/kv"])
def test_version_1_of_the_engine_is_known_by_itself_wherever_it_is_mounted(
    bao: Bao, enter: Enter, mount: str
) -> None:
    bao.ask("POST", f"{mount}/app/cmms", {"token": "planted-old-value"})
    enter("reads")
    assert open_secret(f"vault://{mount}/app/cmms#token").reveal() == "planted-old-value"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("vault://secret/app/nowhere#token", "nothing is there"),
        ("vault://secret/app/here#nothing", "no field of that name"),
        ("vault://secret/app/here#empty", "empty, or no text"),
        ("vault://nowhere/app#token", "nothing is mounted there"),
        ("vault://sys/policy#token", "can't be opened"),
        ("vault://secret/app/here#token?version=77", "nothing is there"),
    ],
)
def test_what_leads_nowhere_is_said_by_its_reference(
    bao: Bao, enter: Enter, reference: str, why: str
) -> None:
    bao.put("app/here", token="planted-here", empty="")
    enter("reads")
    with pytest.raises(NeedsOperator, match=why) as caught:
        open_secret(reference)
    assert caught.value.code == "secret_unresolved"
    assert reference in caught.value.message
    assert caught.value.__cause__ is None


def test_a_deleted_secret_is_gone_and_can_be_written_anew(bao: Bao, enter: Enter) -> None:
    bao.put("app/deleted", token="planted-before")
    bao.ask("DELETE", "secret/data/app/deleted")
    enter()
    with pytest.raises(NeedsOperator, match="nothing is there, or it was deleted"):
        open_secret("vault://secret/app/deleted#token")
    write_secret("vault://secret/app/deleted#token", "planted-after")
    assert bao.fields("app/deleted") == {"token": "planted-after"}
    assert open_secret("vault://secret/app/deleted#token").reveal() == "planted-after"


def test_a_value_is_written_beside_the_other_fields(bao: Bao, enter: Enter) -> None:
    bao.put("app/beside", token="planted-before", user="planted-user")
    enter()
    assert is_writable("vault://secret/app/beside#token")
    write_secret("vault://secret/app/beside#token", "planted-after")
    assert bao.fields("app/beside") == {"token": "planted-after", "user": "planted-user"}


def test_writers_of_neighbouring_fields_lose_nothing(bao: Bao, enter: Enter) -> None:
    bao.put("app/busy", **{f"field{number}": "planted-before" for number in range(3)})
    enter()
    with ThreadPoolExecutor(3) as threads:
        list(
            threads.map(
                lambda number: write_secret(f"vault://secret/app/busy#field{number}", f"planted-{number}"),
                range(3),
            )
        )
    assert bao.fields("app/busy") == {f"field{number}": f"planted-{number}" for number in range(3)}


@pytest.mark.parametrize("mount", ["secret", "old"])
def test_a_value_is_replaced_only_if_it_is_the_one_that_was_meant(bao: Bao, enter: Enter, mount: str) -> None:
    reference = f"vault://{mount}/app/swap#token"
    enter()
    write_secret(reference, "planted-one")
    assert not replace_secret(reference, Secret("planted-zero"), Secret("planted-two"))
    assert open_secret(reference, fresh=True).reveal() == "planted-one"
    assert replace_secret(reference, Secret("planted-one"), Secret("planted-two"))
    assert open_secret(reference, fresh=True).reveal() == "planted-two"


def test_what_a_token_may_only_read_is_not_writable(bao: Bao, enter: Enter) -> None:
    bao.put("app/read", token="planted-read")
    enter("reads")
    assert open_secret("vault://secret/app/read#token").reveal() == "planted-read"
    assert not is_writable("vault://secret/app/read#token")
    with pytest.raises(NeedsOperator, match="Headrace may not do that"):
        write_secret("vault://secret/app/read#token", "planted-other")


def test_a_lost_permission_is_an_error_when_the_value_is_old(bao: Bao, begin: Begin, enter: Enter) -> None:
    bao.put("app/lost", token="planted-lost")
    bao.policy("loses", "secret/data/app/lost read")
    enter("loses")
    open_secret("vault://secret/app/lost#token")
    bao.policy("loses", "secret/data/app/other read")
    assert open_secret("vault://secret/app/lost#token").reveal() == "planted-lost"
    begin.now += 301
    for _ in range(2):
        with pytest.raises(NeedsOperator, match="may not do that"):
            open_secret("vault://secret/app/lost#token")


def app_role(bao: Bao, ttl: str, folder: Path) -> dict[str, str]:
    role = {"token_policies": ["reads"], "token_ttl": ttl, "token_max_ttl": ttl}
    bao.ask("POST", "auth/approle/role/headrace", role)
    role_id = bao.ask("GET", "auth/approle/role/headrace/role-id")["data"]["role_id"]
    made = bao.ask("POST", "auth/approle/role/headrace/secret-id", {})["data"]
    (folder / "secret-id").write_text(made["secret_id"])
    return {
        "VAULT_ADDR": bao.url,
        "PLANTED_ROLE": role_id,
        "HEADRACE_VAULT_ROLE_ID": "env://PLANTED_ROLE",
        "HEADRACE_VAULT_SECRET_ID": f"file://{folder}/secret-id",
    }


def test_a_token_of_an_app_role_that_has_expired_is_exchanged_for_another(
    bao: Bao, begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.secrets.stores.vault.client.FRESH", 0.0)
    bao.put("app/role", token="planted-by-role")
    begin(app_role(bao, "1h", tmp_path))
    assert open_secret("vault://secret/app/role#token").reveal() == "planted-by-role"
    accessors = bao.ask("LIST", "auth/token/accessors")["data"]["keys"]
    for accessor in accessors:
        about = bao.ask("POST", "auth/token/lookup-accessor", {"accessor": accessor})["data"]
        if about["meta"] and about["meta"].get("role_name") == "headrace":
            bao.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    assert open_secret("vault://secret/app/role#token", fresh=True).reveal() == "planted-by-role"
    assert redactor.redact((tmp_path / "secret-id").read_text()) == MASK


def test_a_secret_id_that_is_refused_names_the_log_in(bao: Bao, begin: Begin, tmp_path: Path) -> None:
    environment = app_role(bao, "1h", tmp_path)
    (tmp_path / "secret-id").write_text("planted-wrong-secret-id")
    begin(environment)
    with pytest.raises(NeedsOperator, match="doesn't let Headrace in") as caught:
        open_secret("vault://secret/app/role#token")
    assert caught.value.code == "secret_store_login"


def test_a_token_of_a_file_that_was_replaced_is_taken_up(
    bao: Bao, begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.secrets.stores.vault.client.FRESH", 0.0)
    bao.put("app/agent", token="planted-agent")
    (tmp_path / "token").write_text(bao.token("reads"))
    begin({"VAULT_ADDR": bao.url, "HEADRACE_VAULT_TOKEN": f"file://{tmp_path}/token"})
    open_secret("vault://secret/app/agent#token")
    bao.ask("POST", "auth/token/revoke", {"token": (tmp_path / "token").read_text()})
    with pytest.raises(NeedsOperator, match="expired or was revoked"):
        open_secret("vault://secret/app/agent#token", fresh=True)
    (tmp_path / "token").write_text(bao.token("reads"))
    assert open_secret("vault://secret/app/agent#token", fresh=True).reveal() == "planted-agent"


def test_without_an_address_or_a_token_it_is_said_what_to_set(bao: Bao, begin: Begin) -> None:
    begin({})
    with pytest.raises(NeedsOperator, match="VAULT_ADDR isn't set"):
        open_secret("vault://secret/app/x#token")
    begin({"VAULT_ADDR": bao.url})
    with pytest.raises(NeedsOperator, match="nothing is set to log in with"):
        open_secret("vault://secret/app/x#token")


def test_a_sealed_vault_leaves_what_is_held_in_use_and_nothing_else(tmp_path: Path, begin: Begin) -> None:
    with running_bao(tmp_path) as mine:
        mine.put("app/held", token="planted-held")
        begin({"VAULT_ADDR": mine.url, "VAULT_TOKEN": ROOT})
        open_secret("vault://secret/app/held#token")
        mine.ask("POST", "sys/seal")
        begin.now += 301
        assert open_secret("vault://secret/app/held#token").reveal() == "planted-held"
        assert "sealed" in stores_away()[mine.url].lower()
        with pytest.raises(StoreUnavailable, match="can't be used now"):
            open_secret("vault://secret/app/other#token")
        begin.now += 86_400
        with pytest.raises(StoreUnavailable):
            open_secret("vault://secret/app/held#token")


def test_a_server_that_is_away_at_the_start_is_asked_again_later(
    bao: Bao, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao.put("app/late", token="planted-late")
    begin({"VAULT_ADDR": "http://127.0.0.1:9", "VAULT_TOKEN": bao.token("reads")})
    with pytest.raises(StoreUnavailable, match="can't be reached"):
        open_secret("vault://secret/app/late#token")
    begin({"VAULT_ADDR": bao.url})
    assert wait_until(lambda: open_secret("vault://secret/app/late#token").reveal()) == "planted-late"
    assert stores_away() == {}


@pytest.mark.parametrize("mount", ["secret", "old"])
def test_what_was_written_is_taken_away_and_nothing_beside_it(bao: Bao, enter: Enter, mount: str) -> None:
    paths = (
        "secret/data/typed/* read,create,update",
        "secret/metadata/typed/* delete",
        "old/typed/* read,create,update,delete",
    )
    bao.policy("clears up", *paths)
    enter("clears up")
    token, user = (f"vault://{mount}/typed/plant#{key}" for key in ("token", "user"))
    write_secret(token, "planted-typed-token")
    write_secret(user, "planted-typed-user")
    remove_secret(token)
    assert open_secret(user, fresh=True).reveal() == "planted-typed-user"
    for gone in (token, user, user):
        remove_secret(gone)
    with pytest.raises(NeedsOperator, match="nothing is there"):
        open_secret(user, fresh=True)
