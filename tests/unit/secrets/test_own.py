"""What Headrace itself lives by is no connection's secret, however it is written, and whoever points there."""

from pathlib import Path

import pytest

from worker.config import Settings, get_settings
from worker.errors import InvalidInput, NeedsOperator
from worker.secrets import check_reference, open_secret, write_secret
from worker.secrets.own import is_own


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "api-token").write_text("hr_live_of_somebody_else\n")
    monkeypatch.setenv("HEADRACE_HOME", str(home))
    get_settings.cache_clear()
    return home


@pytest.mark.parametrize(
    "name",
    [
        "HEADRACE_DATABASE_URL",
        "HEADRACE_API_TOKEN",
        "headrace_database_url",
        "VAULT_TOKEN",
        "PGPASSWORD",
        "MY_ROLE",
    ],
)
def test_no_connection_is_given_what_headrace_logs_in_with(name: str) -> None:
    assert is_own("env", name, Settings(vault_secret_id="env://MY_ROLE"))


@pytest.mark.parametrize("name", ["ERP_TOKEN", "HEADRACE_TEST_TOKEN", "LIVE_TOKEN"])
def test_other_variables_are(name: str) -> None:
    assert not is_own("env", name, Settings(vault_secret_id="env://MY_ROLE"))


def test_a_token_of_the_api_is_opened_for_no_connection(home: Path) -> None:
    for path in (
        f"{home}/api-token",
        f"/{home}/api-token",
        f"{home}/postgres/pg_authid",
        "/proc/self/environ",
    ):
        with pytest.raises(InvalidInput) as refused:
            check_reference(f"file://{path}", environment="test")
        assert refused.value.code == "secret_of_headrace"
    with pytest.raises(NeedsOperator) as stopped:
        open_secret(f"file://{home}/api-token", environment="test")
    assert stopped.value.code == "secret_of_headrace"


def test_nor_what_the_clients_of_stores_log_in_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VAULT_CLIENT_KEY", str(tmp_path / "vault.key"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "elsewhere"))
    for name in ("vault.key", "elsewhere", ".aws/credentials", ".pgpass"):
        assert is_own("file", str(tmp_path / name), Settings()), name
    assert not is_own("file", str(tmp_path / "erp.key"), Settings())


def test_nor_what_they_log_in_with_at_a_server_that_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = ("VAULT_TOKEN_TEST", "HEADRACE_VAULT_SECRET_ID_TEST", "MY_ROLE")
    files = {
        "VAULT_CLIENT_KEY_TEST": "client.key",
        "HEADRACE_VAULT_KUBERNETES_JWT_TEST": "jwt",
        "HEADRACE_VAULT_TOKEN_TEST": "sink",
    }
    assert not any(is_own("env", name, Settings()) for name in variables[::2])
    monkeypatch.setenv("VAULT_ADDR_TEST", "https://vault.test")
    monkeypatch.setenv("HEADRACE_VAULT_ROLE_ID_TEST", "env://MY_ROLE")
    for variable, name in files.items():
        (tmp_path / name).write_text("planted")
        beginning = "file://" if variable.startswith("HEADRACE_VAULT_TOKEN") else ""
        monkeypatch.setenv(variable, f"{beginning}{tmp_path / name}")
    assert all(is_own("env", name, Settings()) for name in variables)
    assert all(is_own("file", str(tmp_path / name), Settings()) for name in files.values())
    assert not is_own("env", "VAULT_TOKEN_OTHER", Settings())


def test_a_link_to_it_is_followed(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "harmless"
    link.symlink_to(home / "api-token")
    with pytest.raises(NeedsOperator):
        open_secret(f"file://{link}", environment="live")


def test_nothing_of_a_connection_is_written_over_it(home: Path) -> None:
    with pytest.raises(NeedsOperator) as stopped:
        write_secret(f"file://{home}/api-token", "mine")
    assert stopped.value.code == "secret_of_headrace"
    assert (home / "api-token").read_text() == "hr_live_of_somebody_else\n"


def test_headrace_opens_its_own_and_the_demo_has_its_token_there(home: Path) -> None:
    (home / "demo-token").write_text("of the demo")
    assert open_secret(f"file://{home}/api-token").reveal() == "hr_live_of_somebody_else"
    assert open_secret(f"file://{home}/demo-token", environment="test").reveal() == "of the demo"


def test_where_folders_for_secrets_are_named_no_link_leads_out_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, outside = tmp_path / "secrets", tmp_path / "secrets.old"
    for each in (folder, outside):
        each.mkdir()
        (each / "erp").write_text("planted-erp")
    (folder / "link").symlink_to(outside / "erp")
    monkeypatch.setenv("HEADRACE_SECRET_FILES", f"/run/secrets {folder}")
    get_settings.cache_clear()
    assert open_secret(f"file://{folder}/erp", environment="live").reveal() == "planted-erp"
    for path in (outside / "erp", folder / "link"):
        with pytest.raises(InvalidInput, match="outside of the folders") as refused:
            check_reference(f"file://{path}", environment="live")
        assert refused.value.code == "secret_outside_folders"
        assert str(folder) in str(refused.value.hint)
        with pytest.raises(NeedsOperator) as stopped:
            open_secret(f"file://{path}", environment="test")
        assert stopped.value.code == "secret_outside_folders"
    get_settings.cache_clear()


def test_folders_for_secrets_are_absolute() -> None:
    with pytest.raises(ValueError, match="begin with /"):
        Settings(secret_files=("run/secrets",))
