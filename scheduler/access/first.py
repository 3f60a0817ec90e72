"""How does the very first token come to be? Set by whoever runs Headrace, or made once, where only they can read it.

A token that is set as `HEADRACE_API_TOKEN`, or kept in `<home>/api-token`, is let in at every start, unless it was revoked
or replaced since. Where there is neither, one is made only if there is no token at all: an API that is started on another
machine, or anew in a container, makes no further ways in. Emits: first_token_made.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from scheduler.access.audit import Actor, note_act
from scheduler.access.store import find_principal, queries
from scheduler.access.tokens import digest_of, environment_of, make_token
from scheduler.embedded.private_files import make_private_folder, read_or_none, write_private
from worker.config import Settings
from worker.db.database import Database
from worker.errors import NeedsOperator
from worker.telemetry.redaction import redactor

TOKEN_FILE = "api-token"  # noqa: S105 - a file's name
OPERATOR = Actor("operator")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class First:
    """Where whoever runs Headrace finds a token that lets them in; `elsewhere`: they made theirs themselves."""

    where: Literal["setting", "file", "elsewhere"]
    file: Path
    made: bool = False
    """Just now."""

    @property
    def words(self) -> str:
        """What to put after `Bearer`."""
        return {"setting": "HEADRACE_API_TOKEN", "file": str(self.file)}.get(self.where, "a token of yours")


def let_first_in(database: Database, settings: Settings) -> First:
    """Let in what is set or kept, or make the first token there is."""
    file = settings.home / TOKEN_FILE
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
        return First("setting", file)
    kept = read_or_none(file)
    if kept is not None and environment_of(kept) is not None:
        redactor.add(kept, keep=True)
        keep_first(database, kept)
        good = find_principal(database, kept, "127.0.0.1") is not None
        return First("file" if good else "elsewhere", file)
    return _make_first(database, file)


def keep_first(database: Database, token: str) -> None:
    """Let this token in, unless it is known already: then it is as good as it is."""
    environment = environment_of(token)
    params = {"environment": environment, "digest": digest_of(token), "ending": token[-4:]}
    with database.transaction() as tx:
        row = tx.execute(queries.keep_first, params).fetchone()
        if row is not None:
            target = f"bootstrap ({row['id']})"
            note_act(tx, OPERATOR, "token.create", target, about={"environment": environment})


def _make_first(database: Database, file: Path) -> First:
    """Of several that are started at once, one makes it."""
    with database.transaction() as tx:
        tx.execute(queries.hold_first)
        row = tx.execute(queries.any_token).fetchone()
        if row is not None and row["any"]:
            return First("elsewhere", file)
        token = make_token("live")
        redactor.add(token, keep=True)
        make_private_folder(file.parent)
        write_private(
            file, token + "\n"
        )  # before the commit: a file whose token isn't known is let in at the next start
        params = {"environment": "live", "digest": digest_of(token), "ending": token[-4:]}
        made = tx.execute(queries.keep_first, params).fetchone()
        assert made is not None  # noqa: S101 - it is new
        note_act(tx, OPERATOR, "token.create", f"bootstrap ({made['id']})", about={"environment": "live"})
    log.info("first_token_made", file=str(file))
    return First("file", file, made=True)


def replace_kept(settings: Settings, old_digest: bytes, token: str) -> Path | None:
    """Where the home keeps the token that was just replaced, keep the fresh one; the file, if so."""
    file = settings.home / TOKEN_FILE
    kept = read_or_none(file)
    if kept is None or digest_of(kept) != old_digest:
        return None
    write_private(file, token + "\n")
    return file
