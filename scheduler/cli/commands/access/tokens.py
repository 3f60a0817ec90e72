"""The commands about tokens: make, list, show, rotate, revoke. They need the database, and so no token."""

import getpass
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Annotated, Any

import typer

from scheduler.access.allowed import is_prefix
from scheduler.access.audit import COMMAND_LINE
from scheduler.access.first import replace_kept
from scheduler.access.issuing.grants import Grant
from scheduler.access.issuing.issue import LONGEST_OVERLAP, Issued, issue, revoke, rotate
from scheduler.access.issuing.reading import find_token, find_with_replaced, list_tokens, token_json
from scheduler.access.principal import Scope
from scheduler.cli.listing import Sentences
from scheduler.cli.output import AsJson, ago, note, print_facts, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.resolve import find_connection
from worker.config import Settings
from worker.db.database import Database
from worker.errors import InvalidInput, NeedsOperator
from worker.parsing.durations import format_duration, parse_duration

LONGEST_LIFE = 36500 * 86400.0

group = typer.Typer(cls=Sentences, no_args_is_help=True, rich_markup_mode=None)

Token = Annotated[
    str,
    typer.Argument(help="Its id or the beginning of it, its name, its last four characters; - reads the token itself from stdin."),
]  # fmt: skip
Expires = Annotated[str, typer.Option(help="It ends after so long, such as 90d; default: never.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.add_typer(group, name="token", help="Make, list, rotate and revoke tokens of the API.")


@group.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for, such as reports.")],
    *,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; may be given several times. Default: read.")
    ] = None,
    owner: Annotated[str, typer.Option(help="Who uses it and is told of it. Default: you.")] = "",
    environment: Annotated[str, typer.Option(help="live or test: it sees nothing of the other.")] = "live",
    connection: Annotated[
        list[str] | None, typer.Option(help="It sees this connection; may be given several times.")
    ] = None,
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            help="It sees this customer's connections, also those to come; may be given several times."
        ),
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="It is good from there, such as 192.0.2.0/24; several times.")
    ] = None,
    secrets: Annotated[
        list[str] | None,
        typer.Option(
            help="It may point connections at references that begin so, such as env://LIVE_; several times."
        ),
    ] = None,
    expires: Expires = "",
    as_json: AsJson = False,
) -> None:
    """Make a token, and show it this once: only a digest of it is kept.

    Example: headrace token create reports --owner ann --scope read --tenant acme --expires 90d
    """
    if environment not in {"live", "test"}:
        raise InvalidInput("bad_option", "--environment is live or test.")
    with open_database(command_settings()) as database:
        grant = Grant(
            environment=environment,
            scopes=frozenset(scope or [Scope.READ]),
            connections=_connections(database, environment, connection),
            tenants=frozenset(tenant) if tenant else None,
            networks=_networks(network),
            secret_prefixes=_prefixes(secrets),
            expires_at=_ends(expires),
        )
        made = issue(
            database, COMMAND_LINE, None, name=_words(name, "NAME"), owner=_words(owner or _me(), "--owner"), grant=grant
        )  # fmt: skip
    _show_made(made, as_json=as_json)


@group.command("list")
def list_all(
    *,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that are no good any more.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10000, help="How many.")] = 200,
    as_json: AsJson = False,
) -> None:
    """List tokens, the newest first, with what wants looking after.

    Example: headrace token list --ended
    """
    with open_database(command_settings()) as database:
        rows = list_tokens(database, None, limit=limit, ended=ended)
    shown = [token_json(row) for row in rows]
    if as_json:
        print_json(shown)
        return
    print_table(
        ["id", "name", "owner", "env", "scopes", "sees", "ends in …", "state", "used", "look after"],
        (
            [
                str(token["id"]), token["name"], token["owner"], token["environment"], " ".join(token["scopes"]),
                _sees(token), token["ends_in"], token["state"], ago(row["last_used_at"], row["now"]) or "never",
                " ".join(warning["words"] for warning in token["warnings"]),
            ]
            for row, token in zip(rows, shown, strict=True)
        ),
        empty="No tokens yet. `headrace token create NAME --scope admin` makes the first.",
    )  # fmt: skip


@group.command("show")
def show(token: Token, as_json: AsJson = False) -> None:
    """Show what a token allows. A token that was found somewhere can be read from stdin: whose is it?

    Example: headrace token show reports
    """
    with open_database(command_settings()) as database:
        row = find_token(database, _given(token))
    shown = token_json(row)
    if as_json:
        print_json(shown)
        return
    warnings = [warning["words"] for warning in shown.pop("warnings")]
    print_facts(
        {
            key.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else value
            for key, value in shown.items()
        }
    )
    for words in warnings:
        say(words)


@group.command("rotate")
def rotate_one(
    token: Token,
    *,
    overlap: Annotated[
        str, typer.Option(help="For so long the old one is good beside it; 0s: not at all.")
    ] = "1d",
    expires: Annotated[
        str, typer.Option(help="The new one ends after so long. Default: when the old one would have.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Replace a token by a fresh one that allows the same, and show that this once.

    Example: headrace token rotate reports --overlap 2h
    """
    seconds = parse_duration(overlap)
    if seconds > LONGEST_OVERLAP:
        raise InvalidInput("bad_option", f"--overlap is {format_duration(LONGEST_OVERLAP)} at most.")
    settings = command_settings()
    with open_database(settings) as database:
        row = find_token(database, _given(token))
        made = rotate(database, COMMAND_LINE, None, row["id"], overlap=seconds, expires_at=_ends(expires))
    _show_made(made, as_json=as_json)  # before anything else may fail: nobody can show it again
    if not as_json:
        left = f"is good for {format_duration(seconds)} more." if seconds else "has ended."
        note(f"The old one {left}")
    _keep(settings, row["digest"], made.token, quiet=as_json)


@group.command("revoke")
def revoke_one(
    token: Token,
    *,
    with_made: Annotated[
        bool, typer.Option("--with-made", help="Also all tokens that it made: for one that was stolen.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End a token: its next request is refused, by every process. A name ends with all that is good of it after a rotation.

    Example: headrace token revoke reports
    """
    with open_database(command_settings()) as database:
        done, *replaced = (
            revoke(database, COMMAND_LINE, None, row["id"], with_made=with_made)
            for row in find_with_replaced(database, _given(token))
        )
    if as_json:
        made = [row["id"] for each in (done, *replaced) for row in each.made]
        more = {"replaced": [each.row["id"] for each in replaced], "made": made, "notes": done.warnings}
        print_json(token_json(done.row) | {"changed": done.changed, **more})
        return
    name = f"{done.row['name']} ({done.row['id']})"
    say(f"{name} is revoked." if done.changed else f"{name} was revoked already.")
    for each in replaced:
        say(f"{each.row['id']}, which it replaced, is revoked too.")
    for other in (row for each in (done, *replaced) for row in each.made):
        say(f"{other['name']} ({other['id']}), which it made, is revoked too.")
    for words in done.warnings:
        say(words)


def _show_made(made: Issued, *, as_json: bool) -> None:
    if as_json:
        print_json(token_json(made.row) | {"token": made.token})
        return
    sys.stdout.write(made.token + "\n")
    note(f"This is {made.row['name']} ({made.row['id']}). It is shown this once: keep it in a secret store.")


def _keep(settings: Settings, old_digest: bytes, token: str, *, quiet: bool) -> None:
    try:
        kept = replace_kept(settings, old_digest, token)
    except OSError as exc:
        raise NeedsOperator(
            "not_kept",
            f"The token was rotated, but {settings.home} may keep the old one still: {exc.strerror or exc}.",
            hint="If it does, write the fresh one in its place, as the user that owns the file.",
        ) from None
    if kept is not None and not quiet:
        note(f"{kept} has it now.")


def _given(token: str) -> str:
    """A token on a command line could be read by all users of the machine, so it comes from stdin."""
    return sys.stdin.readline().strip() if token == "-" else token  # noqa: S105 - a word of command lines


def _sees(token: dict[str, Any]) -> str:
    limits = [*(token["connections"] or []), *(f"tenant {name}" for name in token["tenants"] or [])]
    none = token["connections"] is not None or token["tenants"] is not None
    return ", ".join(limits) or ("nothing" if none else "all")


def _connections(database: Database, environment: str, names: list[str] | None) -> frozenset[int] | None:
    if not names:
        return None
    view = {"environment": environment, "tenants": None, "connections": None, "labels": None}
    return frozenset(find_connection(database, name, view)["id"] for name in names)


def _networks(texts: list[str] | None) -> tuple[str, ...] | None:
    try:
        return tuple(str(ip_network(text)) for text in texts) if texts else None
    except ValueError:
        raise InvalidInput("bad_option", "--network is written like 192.0.2.0/24 or 2001:db8::/48.") from None


def _prefixes(texts: list[str] | None) -> tuple[str, ...] | None:
    for text in texts or ():
        if not is_prefix(text):
            raise InvalidInput(
                "bad_option",
                "--secrets is the beginning of references, such as vault://live/ or env://LIVE_.",
            )
    return tuple(texts) if texts else None


def _words(text: str, option: str) -> str:
    if not text or len(text) > 200 or not text.isprintable() or text.lower() in {"cli", "connect-link"}:
        raise InvalidInput("bad_option", f"{option} is 1 to 200 printable characters, and not cli.")
    return text


def _ends(expires: str) -> datetime | None:
    if not expires:
        return None
    seconds = parse_duration(expires)
    if not 0 < seconds <= LONGEST_LIFE:
        raise InvalidInput("bad_option", "--expires is between 1s and 36500d; left out: never.")
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"
