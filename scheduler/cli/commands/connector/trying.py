"""`headrace connector try`: a few records of a live account, with the requests that brought them."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.cli.commands.connector.account import Folder, Secrets, Settings, connector_in, pairs, typed
from scheduler.cli.errors import Exit
from scheduler.cli.output import AsJson, clean, note, print_json, print_table, say
from scheduler.cli.session import command_settings

if TYPE_CHECKING:
    from worker.connectors.contract import Page

WIDTH = 300


def try_(
    folder: Folder,
    stream: Annotated[str, typer.Argument(help="The stream.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many records are shown.")] = 5,
    pages: Annotated[int, typer.Option(min=1, max=100, help="So many pages are read, at most.")] = 1,
    since: Annotated[
        str, typer.Option(help="Ask for what changed since: 2026-01-31T08:00:00Z, or a number.")
    ] = "",
    key: Annotated[str, typer.Option(help="Ask for this one record.")] = "",
    setting: Settings = None,
    secret: Secrets = None,
    as_json: AsJson = False,
) -> None:
    """Read a few records of a live account with a connector that you are writing, and show each request without its secrets.

    Nothing is stored, and no database is needed.

    Example: headrace connector try connectors/shop orders --limit 5 --secret token=env://SHOP_TOKEN
    """
    from scheduler.connectors.kit.live import live, shown  # noqa: PLC0415 - brings the means to send
    from worker.connectors.contract import Window  # noqa: PLC0415

    command_settings()
    connector = connector_in(folder)
    window = Window(since=_bound(since)) if since else Window()
    with live(connector, typed(connector, pairs(setting, "--setting")), pairs(secret, "--secret")) as account:
        try:
            if key:
                found = [_one(account, stream, key)]
            else:
                found = [page for _, page in account.pages(stream, window, pages)]
        finally:
            for one in account.tracing.exchanges if not as_json else ():
                for line in shown(one):
                    note(clean(line))
    _tell(found, limit, as_json=as_json)
    if any(page.rejected for page in found):
        raise typer.Exit(Exit.FAILED)


def _one(account: Any, stream: str, key: str) -> "Page":
    asked = account.source.stream(stream)
    request = asked.single(key)
    if request is None:
        raise typer.BadParameter(f"{stream} has no `single`: its records can't be asked for by their keys.")
    page: Page = asked.read_single(account.send(request, stream), key)
    return page


def _bound(text: str) -> Any:
    if text.lstrip("-").isdecimal():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("--since is a time such as 2026-01-31T08:00:00Z, or a number.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _tell(pages: "list[Page]", limit: int, *, as_json: bool) -> None:
    records = [record for page in pages for record in page.records]
    rejected = [bad for page in pages for bad in page.rejected]
    gone = [one for page in pages for one in page.gone]
    if as_json:
        shown = [
            {
                "key": one.key,
                "changed": one.updated_at,
                "cursor": one.cursor,
                "deleted": one.deleted,
                "raw": json.loads(one.raw),
            }
            for one in records[:limit]
        ]
        bad = [{"code": one.code, "reason": one.reason, "key": one.key} for one in rejected]
        print_json(
            {"records": shown, "rejected": bad, "gone": [one.key for one in gone], "read": len(records)}
        )
        return
    rows = [
        (one.key, one.cursor or one.updated_at, one.deleted or None, one.raw.decode()[:WIDTH])
        for one in records[:limit]
    ]
    print_table(("key", "changed", "deleted", "record"), rows, empty="No record came.")
    for one in rejected[:limit]:
        say(f"Not taken: {one.code}: {one.reason} {one.raw[:WIDTH].decode('utf-8', 'replace')}")
    more = "" if not pages or pages[-1].next is None else "; there is more"
    total = next((f" of {page.total:,}" for page in pages if page.total is not None), "")
    say(
        f"{len(records):,}{total} records on {len(pages)} pages{more}; {len(rejected)} not taken, {len(gone)} said to be gone."
    )
