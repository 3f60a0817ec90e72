"""`headrace connector try`: a few records of a live account, with the requests that brought them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.commands.connector.account import (
    Folder,
    Secrets,
    Settings,
    connector_in,
    secrets_given,
    settings_given,
)
from scheduler.cli.errors import Exit
from scheduler.cli.output import AsJson, clean, note, print_json
from scheduler.cli.session import command_settings
from worker.errors import InvalidInput

if TYPE_CHECKING:
    from scheduler.connectors.kit.doubts import Came
    from scheduler.connectors.kit.live import Live
    from worker.connectors.contract import CursorValue, Stream, StreamTraits, Window

_TIME = "a time such as 2026-01-31T08:00:00Z"


def try_(
    folder: Folder,
    stream: Annotated[str, typer.Argument(help="The stream.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many records are shown.")] = 5,
    pages: Annotated[int, typer.Option(min=1, max=100, help="So many pages are read, at most.")] = 1,
    since: Annotated[
        str, typer.Option(help="Ask for what changed since: 2026-01-31T08:00:00Z, or a number.")
    ] = "",
    until: Annotated[
        str, typer.Option(help="Ask for what changed up to: a time, or a number, where there is until_param.")
    ] = "",
    key: Annotated[str, typer.Option(help="Ask for this one record.")] = "",
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Ask for the keys of all that is there, as a sweep does.")
    ] = False,
    setting: Settings = None,
    secret: Secrets = None,
    as_json: AsJson = False,
) -> None:
    """Read a few records of a live account with a connector that you are writing, and show each request without its secrets.

    What came is looked at, too: hints say where a list may go on though it seems to have ended. Nothing is stored, and no
    database is needed.

    Example: headrace connector try connectors/shop orders --limit 5 --secret token=env://SHOP_TOKEN
    """
    from scheduler.cli.commands.connector.tried import Tried, print_tried  # noqa: PLC0415
    from scheduler.connectors.kit.doubts import doubts, doubts_of_one  # noqa: PLC0415
    from scheduler.connectors.kit.live import live, shown  # noqa: PLC0415 - brings the means to send

    command_settings()
    if sum(map(bool, (key, sweep, since or until))) > 1:
        raise typer.BadParameter("--key, --sweep, and --since with --until go each alone.")
    connector = connector_in(folder)
    settings = settings_given(connector, setting)
    with live(connector, settings, secrets_given(secret)) as account:
        asked = _swept(account, stream) if sweep else account.source.stream(stream)
        window = _window(asked.traits, stream, since, until)
        try:
            came = [_one(account, asked, key)] if key else [*account.pages(asked, window, pages)]
        finally:
            for one in account.tracing.exchanges if not as_json else ():
                for line in shown(one):
                    note(clean(line))
    spec = connector.manifest_of(settings).streams.get(stream)
    spec = spec.swept if spec is not None and sweep else spec
    hints: list[str] = []
    if spec is not None:
        bounded = bool(since or until)
        hints = doubts_of_one(spec, came[0], key) if key else doubts(spec, came, whole=not bounded)
    found = Tried([one.page for one in came], account.tracing.exchanges, hints)
    if as_json:
        print_json(found.as_json(limit))
    else:
        print_tried(found, limit)
    if found.rejected:
        raise typer.Exit(Exit.FAILED)


def _swept(account: "Live", stream: str) -> "Stream":
    found = account.source.stream(stream).sweep()
    if found is None:
        raise InvalidInput(
            "no_sweep", f"{stream} says nothing of how its keys are listed (deletes.sweep).", place="--sweep"
        )
    return found


def _one(account: "Live", asked: "Stream", key: str) -> "Came":
    from scheduler.connectors.kit.doubts import Came  # noqa: PLC0415

    request = asked.single(key)
    if request is None:
        message = f"{asked.name} has no `single`: its records can't be asked for by their keys."
        raise InvalidInput("no_single", message, place="--key")
    response = account.send(request, asked.name)
    return Came(asked.read_single(response, key), response)


def _window(traits: "StreamTraits", stream: str, since: str, until: str) -> "Window":
    """What is asked for; `InvalidInput` where the stream can't be asked so, instead of an answer that ignores it."""
    from worker.connectors.contract import Window  # noqa: PLC0415

    for option, given, can, key in (
        ("--since", since, traits.incremental, "incremental"),
        ("--until", until, traits.bounded, "incremental.until_param"),
    ):
        if given and (not can or traits.token):
            raise InvalidInput(
                "not_incremental", f"{stream} can't be asked for that: it has no {key}.", place=option
            )
    return Window(
        since=_bound(since, "--since", times=traits.timestamps) if since else None,
        until=_bound(until, "--until", times=traits.timestamps) if until else None,
    )


def _bound(text: str, option: str, *, times: bool) -> "CursorValue":
    expected = InvalidInput("bad_value", f"It is {_TIME if times else 'a whole number'}.", place=option)
    if not times:
        if not text.removeprefix("-").isdecimal():
            raise expected
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise expected from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
