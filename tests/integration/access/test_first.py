"""The very first token: made once, where only whoever runs Headrace reads it."""

import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from scheduler.access.first import FILES, First, let_first_in, replace_kept
from scheduler.access.store import find_principal
from scheduler.access.tokens import digest_of, make_token
from worker.config import Settings, load_settings
from worker.db.database import Database
from worker.errors import NeedsOperator

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", api_token=None)


def kept(settings: Settings) -> str:
    return (settings.home / FILES["live"]).read_text().strip()


def tokens(database: Database) -> int:
    return len(database.all("SELECT FROM tokens"))


def test_it_is_made_once_for_whoever_reads_the_home(database: Database, settings: Settings) -> None:
    first = let_first_in(database, settings)
    assert first.made
    assert set(first.files) == {"live", "test"}
    for environment, file in first.files.items():
        assert file.stat().st_mode & 0o077 == 0
        who = find_principal(database, file.read_text().strip(), None)
        assert who is not None
        assert (who.environment, sorted(who.scopes), who.limited) == (environment, ["admin"], False)
    again = let_first_in(database, settings)
    assert (again.files, again.made, tokens(database)) == (first.files, False, 2)


def test_an_api_on_another_machine_makes_no_further_way_in(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    let_first_in(database, settings)
    other = settings.model_copy(update={"home": tmp_path / "other"})
    assert let_first_in(database, other) == First({})
    assert not (tmp_path / "other").exists()
    assert tokens(database) == 2


def test_of_many_that_start_at_once_one_makes_it(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    found: list[First] = []

    def start(number: int) -> None:
        home = settings.model_copy(update={"home": tmp_path / str(number)})
        found.append(let_first_in(database, home))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(first.made for first in found) == 1
    assert tokens(database) == 2


@pytest.mark.parametrize(
    "end", ["revoked_at = now()", "expires_at = now()"]
)  # fmt: skip
def test_one_that_has_ended_is_not_let_in_again_and_not_shown(
    database: Database, settings: Settings, end: str
) -> None:
    let_first_in(database, settings)
    database.run(f"UPDATE tokens SET {end}")
    first = let_first_in(database, settings)
    assert first == First({})
    assert first.words("live") == "a live token of yours"
    assert find_principal(database, kept(settings), None) is None
    assert tokens(database) == 2


def test_one_that_is_kept_is_let_into_a_new_database(database: Database, settings: Settings) -> None:
    """The process was killed between the file and the commit, or the database is another."""
    settings.home.mkdir()
    token = make_token("live")
    (settings.home / FILES["live"]).write_text(token + "\n")
    assert set(let_first_in(database, settings).files) == {"live"}
    assert find_principal(database, token, None) is not None


def test_one_that_is_set_is_let_in_and_kept_nowhere(database: Database, settings: Settings) -> None:
    token = make_token("test")
    given = settings.model_copy(update={"api_token": SecretStr(token)})
    assert let_first_in(database, given) == First({}, setting=True)
    who = find_principal(database, token, None)
    assert who is not None
    assert who.environment == "test"
    assert not (settings.home / FILES["live"]).exists()


def test_one_that_is_set_and_is_none_stops_the_start(database: Database, settings: Settings) -> None:
    given = settings.model_copy(update={"api_token": SecretStr("swordfish-of-old")})
    with pytest.raises(NeedsOperator) as caught:
        let_first_in(database, given)
    assert "swordfish" not in str(caught.value)


def test_how_it_came_to_be_is_in_the_audit_log(database: Database, settings: Settings) -> None:
    let_first_in(database, settings)
    let_first_in(database, settings)
    assert database.all("SELECT actor, action, environment FROM audit") == [
        {"actor": "operator", "action": "token.create", "environment": environment} for environment in FILES
    ]


def test_where_the_home_keeps_the_one_that_was_replaced_it_keeps_the_fresh_one(
    database: Database, settings: Settings
) -> None:
    let_first_in(database, settings)
    assert replace_kept(settings, digest_of(make_token("live")), "fresh") is None
    assert replace_kept(settings, digest_of(kept(settings)), "fresh") == settings.home / FILES["live"]
    assert kept(settings) == "fresh"
