"""`headrace connect`: ask what a system needs, put secrets into a store, log in where it wants that, try it, make it."""

from pathlib import Path
from typing import Annotated

import typer

from scheduler.cli.output import AsJson
from scheduler.cli.pairs import pairs
from worker.errors import InvalidInput


def register(app: typer.Typer) -> None:
    """Add the command to `headrace`."""
    app.command()(connect)


def connect(
    system: Annotated[str, typer.Argument(help="The system, such as demo or tryton.")],
    *,
    name: Annotated[
        str, typer.Option(help="What the connection is called. Default: the system's name.")
    ] = "",
    environment: Annotated[str, typer.Option(help="live or test.")] = "live",
    tenant: Annotated[str, typer.Option(help="Whose data it is.")] = "",
    setting: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE; what isn't given is asked for.")
    ] = None,
    secret: Annotated[
        list[str] | None, typer.Option(help="NAME=REFERENCE; what isn't given is asked for, unseen.")
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option(
            help="A stream to describe as the system itself does, such as a table; may be given several times."
        ),
    ] = None,
    describe: Annotated[
        Path | None,
        typer.Option(help="A file with `describe`, as `headrace discover --write` makes it."),
    ] = None,
    store: Annotated[
        str,
        typer.Option(
            help="Where what you type is written to, such as vault://secret/live/ or file:///run/secrets/."
        ),
    ] = "",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On loopback, for a log-in in the browser; 0: a free one.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Connect a system: asks what it needs, writes secrets into a store, tries it, and lists the streams that can be read.

    Some systems have no streams but those that a connection describes (docs/connectors/sql.md): --stream describes them
    as the system itself does, --describe as a file does.

    Example: headrace connect demo --name "Plant North" --store file:///var/lib/headrace/secrets/
    """
    from scheduler.cli.commands.consent.connecting import Wanted, carry_out  # noqa: PLC0415 - brings the means to send
    from scheduler.cli.commands.consent.described import read_described  # noqa: PLC0415

    if environment not in {"live", "test"}:
        raise InvalidInput("bad_option", "--environment is live or test.")
    settings, secrets = pairs(setting, "--setting"), pairs(secret, "--secret", "REFERENCE")
    wanted = Wanted(
        system, name, environment, tenant, settings, secrets, store.strip(), port, read_described(describe), tuple(stream or ()),
    )  # fmt: skip
    carry_out(wanted, as_json=as_json)
