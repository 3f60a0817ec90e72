"""The commands of outbound events: tell a URL of changes, see whether they arrive, pause, resume and replay."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from scheduler.access.audit import COMMAND_LINE
from scheduler.cli.errors import Exit
from scheduler.cli.filters import InEnvironment, OfTenant, WithLabel, view_of
from scheduler.cli.listing import Sentences
from scheduler.cli.output import AsJson, ago, print_facts, print_json, print_table, say
from scheduler.cli.session import command_settings, open_database
from scheduler.keeping.moment import parse_moment
from worker.feed.reading import KINDS
from worker.outbound.subscriptions import (
    find_subscription,
    pause_subscription,
    remove_subscription,
    replay_subscription,
    resume_subscription,
    subscriptions,
)

group = typer.Typer(cls=Sentences, invoke_without_command=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(help="The subscription's name.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.add_typer(group, name="subscriptions")


@group.callback()
def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """List who is told of changes; `subscriptions add`, `show`, `test` and others take one.

    Example: headrace subscriptions
    """
    if context.invoked_subcommand is not None:
        return
    from scheduler.feed.subscriptions import subscription_json  # noqa: PLC0415

    with open_database(command_settings()) as database:
        rows = subscriptions(database)
    if as_json:
        print_json([subscription_json(row) for row in rows])
        return
    now = datetime.now(UTC)
    print_table(
        ["subscription", "told of", "state", "delivered", "last", "waiting", "error"],
        ([row["name"], _what(row), _state(row), row["delivered"], ago(row["last_success_at"], now),
          row["pending"] + row["given_up"], row["reason"] or _error(row)] for row in rows),
        empty="No subscriptions. `headrace subscriptions add NAME URL --secret env://…` makes one.",
    )  # fmt: skip


@group.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    url: Annotated[str, typer.Argument(help="Where events are sent by POST.")],
    *,
    secret: Annotated[
        str, typer.Option(help="Reference to the secret that signs: env://NAME or file:///absolute/path.")
    ],
    connection: Annotated[str | None, typer.Option(help="Only this connection's.")] = None,
    stream: Annotated[str | None, typer.Option(help="Only streams of this name.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="created, updated or deleted; may be given several times.")
    ] = None,
    tenant: OfTenant = None,
    label: WithLabel = None,
    environment: InEnvironment = None,
    begin: Annotated[
        str, typer.Option("--from", help="`now`, `beginning` (all records first), or a position of the feed.")
    ] = "now",
    as_json: AsJson = False,
) -> None:
    """Tell a URL of changes: signed by Standard Webhooks, at least once, in order per record.

    Example: headrace subscriptions add warehouse https://hooks.example.com/headrace --secret env://HOOK_SECRET
    """
    from scheduler.feed.subscriptions import add_named, subscription_json  # noqa: PLC0415

    if unknown := {*(kind or ())} - {*KINDS}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is no kind; kinds are {', '.join(KINDS)}.")
    with open_database(command_settings()) as database:
        row = add_named(
            database,
            name,
            url,
            secret,
            connection=connection,
            stream=stream,
            kinds=kind or None,
            begin=begin,
            view=view_of(tenant, label, environment),
        )
    if as_json:
        print_json(subscription_json(row))
    else:
        say(f"{name} is told of {_what(row)} from here on. Try it with `headrace subscriptions test {name}`.")


@group.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """Show one: what it is told of, how far it is, what waits and why.

    Example: headrace subscriptions show warehouse
    """
    from scheduler.feed.subscriptions import subscription_json  # noqa: PLC0415

    with open_database(command_settings()) as database:
        row = find_subscription(database, name)
    if as_json:
        print_json(subscription_json(row))
        return
    now = datetime.now(UTC)
    print_facts(
        {
            "subscription": row["name"],
            "url": row["url"],
            "secret": row["secret"],
            "told of": _what(row),
            "state": _state(row),
            "why": row["reason"],
            "position": row["position"],
            "replays": row["replay_since"] and f"what changed since {row['replay_since']:%Y-%m-%d %H:%M} UTC",
            "delivered": row["delivered"],
            "last delivered": ago(row["last_success_at"], now),
            "nothing since": row["failing_since"],
            "tried again": ago(row["next_at"], now),
            "waiting": row["pending"]
            and f"{row['pending']:,} records, the next {ago(row['pending_next_at'], now)}",
            "given up": row["given_up"]
            and f"{row['given_up']:,} records, until they change or it is resumed",
            "last error": _error(row),
        }
    )


@group.command("test")
def try_out_receiver(name: Name, as_json: AsJson = False) -> None:
    """Send a test message now, from here, and say whether it was taken. The exit code is 1 if it wasn't.

    Example: headrace subscriptions test warehouse
    """
    from scheduler.feed.subscriptions import try_out  # noqa: PLC0415

    settings = command_settings()
    with open_database(settings) as database:
        failed = try_out(database, name, loopback=settings.outbound_loopback)
    if as_json:
        print_json({"taken": failed is None, "words": failed.words if failed else None})
    else:
        say(f"{name} took it." if failed is None else f"{name} did not take it: {failed.words.rstrip('.')}.")
    if failed is not None:
        raise typer.Exit(Exit.FAILED)


@group.command("pause")
def pause(name: Name) -> None:
    """Send nothing until it is resumed. What changes meanwhile is sent then, the latest state of each record.

    Example: headrace subscriptions pause warehouse
    """
    from scheduler.feed.subscriptions import noted  # noqa: PLC0415

    with open_database(command_settings()) as database:
        pause_subscription(database, name, noting=noted(COMMAND_LINE, "subscription.pause", name))
    say(f"{name} is paused.")


@group.command("resume")
def resume(name: Name) -> None:
    """Go on, also with one that was disabled; records that were given up are tried again.

    Example: headrace subscriptions resume warehouse
    """
    from scheduler.feed.subscriptions import noted  # noqa: PLC0415

    with open_database(command_settings()) as database:
        resume_subscription(database, name, noting=noted(COMMAND_LINE, "subscription.resume", name))
    say(f"{name} goes on where it was.")


@group.command("replay")
def replay(
    name: Name,
    since: Annotated[
        str | None,
        typer.Option(help="2026-03-01T06:00Z, or 2h for two hours ago. Default: all records."),
    ] = None,
) -> None:
    """Send once more what changed since a time: the latest state of each record. Then it goes on as before.

    Example: headrace subscriptions replay warehouse --since 2026-03-01T06:00:00Z
    """
    then = None if since is None else parse_moment(since, datetime.now(UTC))
    from scheduler.feed.subscriptions import noted  # noqa: PLC0415

    with open_database(command_settings()) as database:
        replay_subscription(database, name, then, noting=noted(COMMAND_LINE, "subscription.replay", name))
    say(f"{name} is told once more of {'all records' if then is None else f'what changed since {since}'}.")


@group.command("remove")
def remove(name: Name) -> None:
    """Tell it nothing any more, and forget what waits for it.

    Example: headrace subscriptions remove warehouse
    """
    from scheduler.feed.subscriptions import noted  # noqa: PLC0415

    with open_database(command_settings()) as database:
        remove_subscription(database, name, noting=noted(COMMAND_LINE, "subscription.delete", name))
    say(f"{name} is removed.")


def _what(row: dict[str, Any]) -> str:
    kinds = ", ".join(row["kinds"]) if row["kinds"] else "every change"
    place = " / ".join(part for part in (row["connection"], row["stream"]) if part)
    limits = [
        *([f"tenant {', '.join(row['tenants']) or 'none'}"] if row["tenants"] is not None else []),
        *(f"{key}:{value}" for key, value in (row["labels"] or {}).items()),
        *([f"{len(row['connections'])} connections"] if row["connections"] is not None else []),
        *([row["environment"]] if row["environment"] else []),
    ]
    return (f"{kinds} of {place}" if place else kinds) + (f" ({'; '.join(limits)})" if limits else "")


def _state(row: dict[str, Any]) -> str:
    return "failing" if row["state"] == "active" and row["failing_since"] else row["state"]


def _error(row: dict[str, Any]) -> str | None:
    """Old failures are no news once something was delivered."""
    if row["failing_since"] is not None:
        return row["last_error"] or None
    return row["pending_error"] or None
