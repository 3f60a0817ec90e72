"""`headrace connect`: ask what a system needs, put secrets into a store, log in where it wants that, try it, make it."""

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

    Example: headrace connect demo --name "Plant North" --store file:///var/lib/headrace/secrets/
    """
    from scheduler.cli.commands.consent.connecting import Wanted, carry_out  # noqa: PLC0415 - brings the means to send

    if environment not in {"live", "test"}:
        raise InvalidInput("bad_option", "--environment is live or test.")
    settings, secrets = pairs(setting, "--setting"), pairs(secret, "--secret", "REFERENCE")
    carry_out(
        Wanted(system, name, environment, tenant, settings, secrets, store.strip(), port), as_json=as_json
    )
