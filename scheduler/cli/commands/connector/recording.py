"""`headrace connector record`: answers of a live account, scrubbed, kept beside the manifest."""

from typing import Annotated

import typer

from scheduler.cli.commands.connector.account import (
    Folder,
    Secrets,
    Settings,
    connector_in,
    secrets_given,
    settings_given,
)
from scheduler.cli.output import note, say
from scheduler.cli.session import command_settings
from worker.parsing.wording import counted


def record(
    folder: Folder,
    *,
    stream: Annotated[
        list[str] | None, typer.Option("--stream", help="This stream alone; may be repeated.")
    ] = None,
    pages: Annotated[int, typer.Option(min=1, max=20, help="So many pages of each stream.")] = 2,
    setting: Settings = None,
    secret: Secrets = None,
) -> None:
    """Record answers of a live account into recorded/ beside the manifest: without secrets, with made-up people.

    Columns and models are checked against them by `headrace connector check`. Look at each file before you share it.

    Example: headrace connector record connectors/shop --secret token=env://SHOP_TOKEN
    """
    from scheduler.connectors.kit.live import live  # noqa: PLC0415 - brings the means to send
    from scheduler.connectors.kit.recording import recorded, write  # noqa: PLC0415
    from worker.connectors.contract import Window  # noqa: PLC0415
    from worker.errors import HeadraceError  # noqa: PLC0415

    command_settings()
    connector = connector_in(folder)
    written = 0
    with live(connector, settings_given(connector, setting), secrets_given(secret)) as account:
        for name in stream or connector.stream_names:
            records = (
                connector.manifest.streams[name].shape.records if name in connector.manifest.streams else ()
            )
            asked = account.source.stream(name)
            keys: list[str] = []
            try:
                for number, came in enumerate(account.pages(asked, Window(), pages), start=1):
                    body, page = came.response.body, came.page
                    of = next(one for one in reversed(account.tracing.exchanges) if one.answer == body)
                    path = write(folder, name if number == 1 else f"{name}-{number}", recorded(of, records))
                    note(f"{path}: {counted(len(page.records), 'record was', 'records were')} on the page")
                    keys += page.keys
                    written += 1
                if keys and (one := asked.single(keys[0])) is not None:
                    account.send(one, name)
                    note(
                        f"{write(folder, f'{name}.single', recorded(account.tracing.exchanges[-1], ()))}: {keys[0]}"
                    )
                    written += 1
            except HeadraceError as exc:
                note(f"{name}: {exc.message}")
    say(
        f"{counted(written, 'answer was', 'answers were')} recorded. Look at each for what should not be shared, then: headrace connector check {folder}"
    )
