"""The commands of the change feed: read it, follow it, see who reads it and what holds it back."""

import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from scheduler.cli.filters import InEnvironment, OfTenant, WithLabel, view_of
from scheduler.cli.listing import Sentences
from scheduler.cli.output import AsJson, ago, clean, note, print_facts, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database
from scheduler.connections.view import View
from scheduler.feed.changes import BEGINNING, consumer_json, position_named, status_json, wanted_named
from scheduler.runs.lists import SHORT_ID
from worker.db.database import Database
from worker.feed.consumers import (
    MOST_COUNTED,
    Consumer,
    commit,
    consumers,
    create_consumer,
    delete_consumer,
    position_of_consumer,
)
from worker.feed.horizon import Status, status
from worker.feed.position import Position
from worker.feed.reading import KINDS, Page, read_changes
from worker.feed.wording import change_facts, change_json, time_of
from worker.parsing.durations import format_duration

LOOK_EVERY = 0.5
PAGE = 500
LIMIT = 50

_never = threading.Event()
group = typer.Typer(cls=Sentences, invoke_without_command=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.command()(changes)
    app.add_typer(group, name="consumers")


def changes(
    connection: Annotated[str | None, typer.Argument(help="Only this connection's.")] = None,
    stream: Annotated[str | None, typer.Argument(help="Only this stream's.")] = None,
    *,
    after: Annotated[
        str | None,
        typer.Option(help="A position that was given out, `beginning` or `now`. Default: beginning."),
    ] = None,
    consumer: Annotated[
        str | None,
        typer.Option(
            help="Go on where the reader of this name was, and remember how far it came. Made if new."
        ),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="created, updated or deleted; may be given several times.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a line.")] = False,
    content: Annotated[bool, typer.Option("--content", help="With the record itself.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many; with --follow there is no end.")] = LIMIT,
    show_status: Annotated[
        bool, typer.Option("--status", help="Show how the feed is and what holds it back, and no changes.")
    ] = False,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    as_json: AsJson = False,
) -> None:
    """Show what changed in the copy, in the order of the change feed.

    Each record stands in the feed once, with its latest change. Read from the beginning, it is a snapshot.

    Example: headrace changes plant work_orders --after now --follow --jsonl
    """
    if after is not None and consumer is not None:
        raise typer.BadParameter("Give --after or --consumer, not both.")
    if unknown := {*(kind or ())} - {*KINDS}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is no kind; kinds are {', '.join(KINDS)}.")
    if as_json and (follow or jsonl):
        raise typer.BadParameter("--json prints one object; take --jsonl to follow.")
    view = view_of(tenant, label, environment)
    with open_database(command_settings()) as database:
        if show_status:
            _show_status(status(database), as_json=as_json)
            return
        reader = _Reader(database, connection, stream, kind, content=content, view=view)
        start = reader.start(after, consumer)
        pages = reader.pages(start, limit=None if follow else limit)
        if as_json:
            _print_object(pages, start, content=content)
            _commit(reader, reader.last, consumer)
            return
        _print(pages, reader, follow=follow, jsonl=jsonl, consumer=consumer)


@group.callback()
def list_consumers(context: typer.Context, as_json: AsJson = False) -> None:
    """List the readers whose position is kept, and how far behind they are; `consumers delete NAME` forgets one.

    Example: headrace consumers
    """
    if context.invoked_subcommand is not None:
        return
    with open_database(command_settings()) as database:
        found = consumers(database)
    if as_json:
        print_json([consumer_json(each) for each in found])
        return
    now = datetime.now(UTC)
    print_table(
        ["consumer", "position", "behind", "for", "committed", ""],
        ([c.name, str(c.position), _behind(c), _for(c), ago(c.committed_at, now), _state(c)] for c in found),
        empty="No consumers. `headrace changes --consumer NAME` makes one.",
    )


@group.command("commit")
def commit_position(
    name: Annotated[str, typer.Argument(help="The reader's name.")],
    position: Annotated[str, typer.Argument(help="A position that was given out, `beginning` or `now`.")],
) -> None:
    """Let a reader go on from a position: forward, or back to read again. It is made if it isn't there.

    Example: headrace consumers commit warehouse beginning
    """
    with open_database(command_settings()) as database:
        commit(database, name, position_named(database, position))
    say(f"{name} goes on from there.")


@group.command("delete")
def delete(name: Annotated[str, typer.Argument(help="The reader's name.")]) -> None:
    """Forget a reader. Should it come back, it begins at the beginning.

    Example: headrace consumers delete warehouse
    """
    with open_database(command_settings()) as database:
        delete_consumer(database, name)
    say(f"{name} is forgotten.")


class _Reader:
    """Pages of the feed, one after another."""

    def __init__(
        self,
        database: Database,
        connection: str | None,
        stream: str | None,
        kinds: list[str] | None,
        *,
        content: bool,
        view: View,
    ) -> None:
        self.database = database
        self.content = content
        self._view = view
        self._named = (connection, stream, kinds)
        self.last: Page | None = None

    def start(self, after: str | None, consumer: str | None) -> Position:
        if consumer is not None:
            create_consumer(self.database, consumer)
            return position_of_consumer(self.database, consumer)
        return position_named(self.database, after or BEGINNING)

    def pages(self, position: Position, *, limit: int | None) -> Iterator[Page]:
        """Without a limit for ever. Streams that are new meanwhile are read, too."""
        left = limit
        while left is None or left > 0:
            what = wanted_named(self.database, *self._named, content=self.content, view=self._view)
            page = self.last = read_changes(self.database, position, what, limit=min(PAGE, left or PAGE))
            yield page
            position = page.next
            left = None if left is None else left - len(page.changes)
            if page.more:
                continue
            if left is not None:
                return
            _never.wait(LOOK_EVERY)


def _print(
    pages: Iterator[Page], reader: _Reader, *, follow: bool, jsonl: bool, consumer: str | None
) -> None:
    """What was printed is committed, and not before."""
    if jsonl or follow:
        for page in pages:
            for change in page.changes:
                epoch = page.feed.epoch
                text = change_json(change, epoch, content=reader.content) if jsonl else _line(change, epoch)
                sys.stdout.write(text + "\n")
            sys.stdout.flush()
            _commit(reader, page, consumer)
    else:
        shown = [(change, page.feed.epoch) for page in pages for change in page.changes]
        columns = ["position", "time", "kind", "connection", "stream", "key", "run"]
        print_table(
            [*columns, *(["record"] if reader.content else [])],
            (_cells(change, epoch, content=reader.content) for change, epoch in shown),
            empty="Nothing has changed since." if consumer else "No changes.",
        )
        _commit(reader, reader.last, consumer)
    if reader.last is not None and reader.last.more and consumer is None:
        note(f"There is more: --after {reader.last.next}")


def _commit(reader: _Reader, page: Page | None, consumer: str | None) -> None:
    if consumer is not None and page is not None:
        sys.stdout.flush()
        commit(reader.database, consumer, page.next)


def _print_object(pages: Iterator[Page], start: Position, *, content: bool) -> None:
    lines, following, more = [], start, False
    for page in pages:
        lines += [change_json(change, page.feed.epoch, content=content) for change in page.changes]
        following, more = page.next, page.more
    changes_ = ",\n  ".join(lines)
    sys.stdout.write(
        f'{{"changes": [\n  {changes_}],\n "next": "{following}", "more": {"true" if more else "false"}}}\n'
    )


def _cells(change: dict[str, Any], epoch: int, *, content: bool) -> list[Any]:
    facts = change_facts(change, epoch)
    cells = [
        facts["position"],
        time_of(change),
        *(facts[name] for name in ("kind", "connection", "stream", "key")),
    ]
    cells.append((facts["run"] or "")[:SHORT_ID])
    return [*cells, (change["raw"] or "")[:160]] if content else cells


def _line(change: dict[str, Any], epoch: int) -> str:
    time, cells = time_of(change).astimezone(UTC), _cells(change, epoch, content=False)
    return clean("  ".join([f"{time:%Y-%m-%d %H:%M:%S}", *(str(cell) for cell in cells[2:]), cells[0]]))


def _show_status(found: Status, *, as_json: bool) -> None:
    if as_json:
        print_json(status_json(found))
        return
    held = (
        f"{found.held_back:,} changes"
        if found.held_back < MOST_COUNTED
        else f"{MOST_COUNTED:,} changes or more"
    )
    print_facts(
        {
            "epoch": found.feed.epoch,
            "end": str(found.feed.latest),
            "held back": f"{held}, for {format_duration(found.seconds)}" if found.held_back else "nothing",
            "open": "\n".join(str(holder) for holder in found.holders) or None,
        }
    )


def _behind(consumer: Consumer) -> str:
    more = "+" if consumer.counted_up else ""
    return f"{consumer.changes:,}{more}"


def _for(consumer: Consumer) -> str:
    return "" if consumer.seconds is None else format_duration(consumer.seconds)


def _state(consumer: Consumer) -> str:
    return "must begin again" if consumer.expired else ""
