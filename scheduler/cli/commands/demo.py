"""The demo system under one home: its files, its connection, and how both go without a trace."""

import base64
import secrets
import shutil
from pathlib import Path
from typing import Annotated

import structlog
import typer

from scheduler.cli.listing import Sentences
from scheduler.cli.output import note, say
from scheduler.cli.session import command_settings, open_database, open_registry
from scheduler.connections.apply import apply
from scheduler.connections.remove import remove_connection
from scheduler.connections.resolve import find_connection
from scheduler.embedded.demo import DemoOptions, connections_document
from scheduler.embedded.endpoints import hold_home
from scheduler.embedded.private_files import kept_password, kept_text, make_private_folder, write_private
from worker.config import Settings, load_settings
from worker.db.database import Database
from worker.errors import NeedsOperator, NotFound
from worker.parsing.documents import read_document
from worker.telemetry.logs import configure_logging
from worker.telemetry.redaction import redactor

CONNECTION = "demo-plant"
ENVIRONMENT = "test"
TOKEN_FILE = "demo-token"  # noqa: S105 - a file's name
WEBHOOK_SECRET_FILE = "demo-webhook-secret"  # noqa: S105 - a file's name
PORT_FILE = "demo-port"
FOLDER = "demo"
UNWANTED_FILE = "no-demo"
"""Somebody removed the demo: `headrace up` doesn't bring it back by itself."""

log = structlog.get_logger()

group = typer.Typer(
    cls=Sentences,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The demo system that `headrace up` starts.",
)


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.add_typer(group, name="demo")


@group.command("remove")
def remove() -> None:
    """Remove the demo connection, its records and its files. `headrace up --demo` brings a new one.

    Example: headrace demo remove
    """
    settings = command_settings()
    with open_database(settings) as database:
        try:
            gone = remove_connection(database, CONNECTION, ENVIRONMENT)
            say(
                f"The connection {gone.name} is gone, with {gone.records:,} records of {gone.streams} streams."
            )
        except NotFound:
            say("There is no demo connection.")
    if settings.home.exists():
        write_private(settings.home / UNWANTED_FILE, "")
        _remove_files_now(settings.home)


@group.command("serve", hidden=True)
def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On the loopback address; 0 takes a free one.")
    ] = 0,
    webhook_url: Annotated[str | None, typer.Option(help="Is told of every change, signed.")] = None,
) -> None:
    """Serve the demo system of this home until SIGTERM.

    Example: headrace demo serve --port 8099 --webhook-url http://127.0.0.1:8080/webhooks/demo-plant
    """
    from scheduler.embedded.demo import serve as serve_now  # noqa: PLC0415

    settings = load_settings()
    configure_logging(settings, process="demo")
    folder = make_private_folder(settings.home / FOLDER)
    token = demo_token(settings.home)
    serve_now(
        DemoOptions(
            port=port,
            tokens=(token,),
            webhook_url=webhook_url,
            webhook_secrets=webhook_secrets(settings.home),
            state=folder / "plant.journal",
            ready_file=folder / "ready",
        )
    )


def demo_token(home: Path) -> str:
    """The token that the demo system asks for; made when it is first needed."""
    token = kept_password(home / TOKEN_FILE)
    redactor.add(token, keep=True)
    return token


def webhook_secrets(home: Path) -> tuple[str, ...]:
    """What signs the demo system's webhooks; made when it is first needed. Each line is one: they may be rotated."""
    made = kept_text(
        home / WEBHOOK_SECRET_FILE,
        make=lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        good=lambda text: text.startswith("whsec_"),
    )
    for line in made.split():
        redactor.add(line, keep=True)
    return tuple(made.split())


def connect_demo(settings: Settings, database: Database, base_url: str) -> bool:
    """Apply the demo's connections document where its connection is missing or leads elsewhere. Whether it was."""
    try:
        found = find_connection(database, f"{ENVIRONMENT}/{CONNECTION}")
        if found["settings"].get("base_url") == base_url and "webhook_secret" in found["secrets"]:
            return False
    except NotFound:
        pass
    demo_token(settings.home)
    webhook_secrets(settings.home)
    text = connections_document(
        base_url,
        f"file://{settings.home / TOKEN_FILE}",
        f"file://{settings.home / WEBHOOK_SECRET_FILE}",
    )
    apply(database, open_registry(settings), read_document(text.encode(), "the demo's connections"))
    log.info("demo_connected", base_url=base_url)
    return True


def wants_demo(home: Path, *, asked: bool | None, embedded: bool) -> bool:
    """Only beside embedded servers or when asked for: a toy has no business in a real database."""
    return asked if asked is not None else embedded and not (home / UNWANTED_FILE).exists()


def remove_files(home: Path) -> None:
    """Everything of the demo that lies in the home. Call only while no demo runs there."""
    shutil.rmtree(home / FOLDER, ignore_errors=True)
    for name in (TOKEN_FILE, WEBHOOK_SECRET_FILE, PORT_FILE, "log/demo.log", "log/demo.log.1"):
        (home / name).unlink(missing_ok=True)


def _remove_files_now(home: Path) -> None:
    try:
        with hold_home(home):
            remove_files(home)
    except NeedsOperator as exc:
        if exc.code != "home_in_use":
            raise
        note("The demo system still runs in `headrace up`; its files go when that stops.")
