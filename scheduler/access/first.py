"""How do the very first tokens come to be? Set by whoever runs Headrace, or made once, where only they can read them.

A token that is set as `HEADRACE_API_TOKEN`, or kept in `<home>/api-token` (live) or `<home>/api-token-test` (test), is let in
at every start, unless it was revoked or replaced since. Where none is set and there is no token at all, both are made: an
API that is started on another machine, or anew in a container, makes no further ways in. Emits: first_tokens_made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
import structlog
from psycopg.rows import DictRow

from scheduler.access.audit import Actor, note_act
from scheduler.access.store import find_principal, queries
from scheduler.access.tokens import digest_of, environment_of, make_token
from scheduler.embedded.private_files import make_private_folder, read_or_none, write_private
from worker.config import Settings
from worker.db.database import Database
from worker.errors import NeedsOperator
from worker.telemetry.redaction import redactor

FILES = {"live": "api-token", "test": "api-token-test"}
OPERATOR = Actor("operator")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class First:
    """Where whoever runs Headrace finds tokens that let them in; a file that holds none that is good isn't named."""

    files: Mapping[str, Path]
    """By environment."""
    setting: bool = False
    """It is in `HEADRACE_API_TOKEN`."""
    made: bool = False
    """Just now."""

    def words(self, environment: str) -> str:
        """Where the token is that lets in, for people."""
        if environment in self.files:
            return f"token in {self.files[environment]}"
        return "the token in HEADRACE_API_TOKEN" if self.setting else f"a {environment} token of yours"


def let_first_in(database: Database, settings: Settings) -> First:
    """Let in what is set or kept, or make the first tokens there are."""
    if settings.api_token is not None:
        token = settings.api_token.get_secret_value()
        redactor.add(token, keep=True)
        if environment_of(token) is None:
            raise NeedsOperator(
                "bad_bootstrap_token",
                "HEADRACE_API_TOKEN is no token of Headrace: it looks like hr_live_… or hr_test_….",
                hint="Make one with `headrace token create`, or leave it unset.",
            )
        keep_first(database, token)
    kept = _kept(database, settings.home)
    if kept or settings.api_token is not None:
        return First(kept, setting=settings.api_token is not None)
    return _make_first(database, settings.home)


def _kept(database: Database, home: Path) -> dict[str, Path]:
    """The files whose tokens are good, now that they are let in."""
    found = {}
    for environment, name in FILES.items():
        token = read_or_none(home / name)
        if token is not None and environment_of(token) == environment:
            redactor.add(token, keep=True)
            keep_first(database, token)
            if find_principal(database, token, "127.0.0.1") is not None:
                found[environment] = home / name
    return found


def keep_first(database: Database, token: str) -> None:
    """Let this token in, unless it is known already: then it is as good as it is."""
    with database.transaction() as tx:
        _let_in(tx, token)


def _let_in(tx: psycopg.Connection[DictRow], token: str) -> None:
    environment = environment_of(token)
    params = {"environment": environment, "digest": digest_of(token), "ending": token[-4:]}
    row = tx.execute(queries.keep_first, params).fetchone()
    if row is not None:
        target = f"bootstrap ({row['id']})"
        note_act(tx, OPERATOR, "token.create", target, about={"environment": environment})


def _make_first(database: Database, home: Path) -> First:
    """Of several that are started at once, one makes them."""
    with database.transaction() as tx:
        tx.execute(queries.hold_first)
        row = tx.execute(queries.any_token).fetchone()
        if row is not None and row["any"]:
            return First({})
        make_private_folder(home)
        files = {environment: home / name for environment, name in FILES.items()}
        for environment, file in files.items():
            token = make_token(environment)
            redactor.add(token, keep=True)
            write_private(
                file, token + "\n"
            )  # a file whose token isn't committed is let in at the next start
            _let_in(tx, token)
    log.info("first_tokens_made", home=str(home))
    return First(files, made=True)


def replace_kept(settings: Settings, old_digest: bytes, token: str) -> Path | None:
    """Where the home keeps the token that was just replaced, keep the fresh one; the file, if so."""
    for name in FILES.values():
        kept = read_or_none(settings.home / name)
        if kept is not None and digest_of(kept) == old_digest:
            write_private(settings.home / name, token + "\n")
            return settings.home / name
    return None
