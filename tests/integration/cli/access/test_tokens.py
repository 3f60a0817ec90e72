"""Tokens and the audit log on the command line, which needs no token."""

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from servers.installation.commands import Command

from scheduler.access.store import find_principal
from worker.db.database import Database
from worker.telemetry.redaction import redactor

pytestmark = pytest.mark.integration


def made(headrace: Command, *arguments: str) -> str:
    said = headrace("token", "create", *arguments)
    assert said.code == 0, said.err
    return said.out.strip()


def test_the_first_admin_token_is_made_and_shown_once(headrace: Command, database: Database) -> None:
    said = headrace("token", "create", "first", "--scope", "admin", "--owner", "ann")
    token = said.out.strip()
    who = find_principal(database, token, None)
    assert who is not None
    assert (who.owner, who.environment, sorted(who.scopes), who.limited) == ("ann", "live", ["admin"], False)
    assert "shown this once" in said.err
    for arguments in (["token", "list"], ["token", "show", "first"], ["audit"], ["token", "list", "--json"]):
        assert token not in headrace(*arguments).out


def test_limits_are_given_as_options(headrace: Command, database: Database) -> None:
    database.run("INSERT INTO connections (name, system) VALUES ('plant', 'demo')")
    token = made(
        headrace, "reports", "--scope", "read", "--scope", "sync", "--connection", "plant", "--tenant", "acme",
        "--network", "192.0.2.0/24", "--secrets", "env://ACME_", "--expires", "90d",
    )  # fmt: skip
    who = find_principal(database, token, "192.0.2.1")
    assert who is not None
    assert (who.tenants, who.networks, who.secret_prefixes) == ({"acme"}, ("192.0.2.0/24",), ("env://ACME_",))
    assert who.connections is not None
    assert len(who.connections) == 1
    assert who.expires_at is not None
    assert timedelta(days=89) < who.expires_at - datetime.now(UTC) <= timedelta(days=90)
    [shown] = headrace("token", "list", "--json").json
    assert shown["connections"] == ["plant"]


def test_a_wrong_option_is_said_and_makes_nothing(headrace: Command) -> None:
    for arguments in (
        ["--environment", "prod"],
        ["--network", "10.0.0.1/8"],
        ["--secrets", "everything"],
        ["--expires", "0s"],
        ["--expires", "90"],
        ["--expires", "999999w"],
        ["--owner", "cli"],
        ["--scope", "root"],
    ):
        assert headrace("token", "create", "t", *arguments).code == 2, arguments
    assert headrace("token", "list", "--json").json == []


def test_a_connection_of_the_other_environment_is_not_found(headrace: Command, database: Database) -> None:
    database.run("INSERT INTO connections (name, system, environment) VALUES ('plant', 'demo', 'test')")
    assert headrace("token", "create", "t", "--connection", "plant").code == 3


def test_a_token_is_rotated_with_an_overlap_and_revoked(headrace: Command, database: Database) -> None:
    old = made(headrace, "reports")
    fresh = headrace("token", "rotate", "reports", "--overlap", "1h").out.strip()
    assert all(find_principal(database, token, None) for token in (old, fresh))
    said = headrace("token", "revoke", fresh[-4:])
    assert said.code == 0, said.err
    assert "is revoked" in said.out
    assert find_principal(database, fresh, None) is None
    assert find_principal(database, old, None) is not None


def test_a_token_that_was_rotated_is_shown_whatever_comes_of_the_file_that_kept_it(
    headrace: Command, database: Database
) -> None:
    made(headrace, "reports")
    home = Path(os.environ["HEADRACE_HOME"])
    (home / "api-token").mkdir(parents=True)
    said = headrace("token", "rotate", "reports", "--overlap", "0s")
    assert said.code == 1
    assert find_principal(database, said.out.strip(), None) is not None
    # As it is shown: a secret of another test of this process may be a word of this test's own name.
    assert redactor.redact(f"{home} may keep the old one still") in said.err


def test_a_name_is_that_of_the_newest_after_a_rotation_and_ends_with_all_of_it(
    headrace: Command, database: Database
) -> None:
    tokens = [made(headrace, "reports")]
    tokens += [headrace("token", "rotate", "reports", "--overlap", "1h").out.strip() for _ in range(2)]
    assert headrace("token", "show", "reports", "--json").json["ends_in"] == tokens[-1][-4:]
    said = headrace("token", "revoke", "reports").out
    assert said.count("which it replaced, is revoked too") == 2
    assert not any(find_principal(database, token, None) for token in tokens)
    made(headrace, "twice")
    made(headrace, "twice")
    assert "Several tokens" in headrace("token", "revoke", "twice").err, "two that nothing joins"


def test_a_token_that_was_found_somewhere_is_read_from_stdin(
    headrace: Command, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = made(headrace, "leaked", "--owner", "ann")
    monkeypatch.setattr("sys.stdin", io.StringIO(token + "\n"))
    assert "ann" in headrace("token", "show", "-").out
    monkeypatch.setattr("sys.stdin", io.StringIO(token + "\n"))
    assert headrace("token", "revoke", "-", "--with-made").code == 0
    assert find_principal(database, token, None) is None


def test_a_name_that_several_have_is_asked_about(headrace: Command) -> None:
    made(headrace, "reports")
    made(headrace, "reports")
    said = headrace("token", "revoke", "reports")
    assert said.code == 2
    assert "Say which" in said.err


def test_of_several_of_one_name_the_one_that_is_good_is_meant(headrace: Command, database: Database) -> None:
    made(headrace, "reports")
    headrace("token", "revoke", "reports")
    token = made(headrace, "reports")
    assert headrace("token", "revoke", "reports").code == 0
    assert find_principal(database, token, None) is None


def test_an_unknown_token_is_not_found(headrace: Command) -> None:
    assert headrace("token", "show", "nobodys").code == 3


def test_what_was_done_is_shown(headrace: Command) -> None:
    made(headrace, "reports", "--tenant", "acme")
    headrace("token", "revoke", "reports")
    acts = headrace("audit", "--json").json
    assert [act["action"] for act in acts] == ["token.revoke", "token.create"]
    assert {act["actor"] for act in acts} == {"cli"}
    assert acts[1]["detail"]["tenants"] == ["acme"]
    assert "token.revoke" in headrace("audit", "--since", "1h").out
    assert "token.revoke" in headrace("audit", "--since", "2026-01-01").out
    never = headrace("audit", "--since", "999999d")
    assert (never.code, "is no time" in never.err) == (2, True)
    assert headrace("audit", "--action", "connection.").out.strip() == "Nothing yet."


def test_doctor_tells_of_tokens_that_want_looking_after(headrace: Command, database: Database) -> None:
    said = headrace("doctor", "--json")
    assert ("tokens", "warn") in {(found["check"], found["level"]) for found in said.json}
    made(headrace, "first", "--scope", "admin")
    made(headrace, "old", "--owner", "ann")
    database.run("UPDATE tokens SET created_at = now() - interval '91 days' WHERE name = 'old'")
    found = [each for each in headrace("doctor", "--json").json if each["check"] == "tokens"]
    assert [each["level"] for each in found] == ["warn"]
    assert "old (ann)" in found[0]["words"]
    headrace("token", "rotate", "old", "--overlap", "0s")
    found = [each for each in headrace("doctor", "--json").json if each["check"] == "tokens"]
    assert [each["level"] for each in found] == ["ok"]
