"""The commands that run something until it is told to stop, and the one that prepares the database."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scheduler.cli.output import say
from worker.config import Settings, load_settings
from worker.telemetry.logs import configure_logging

LaneChoice = Literal["main", "bulk", "all"]


def register(app: typer.Typer) -> None:
    """Add these commands to `headrace`."""
    app.command()(up)
    app.command()(worker)
    app.command()(beat)
    app.command()(serve)
    app.command()(flower)
    app.command()(migrate)


def up(
    demo: Annotated[
        bool | None,
        typer.Option("--demo/--no-demo", help="With the demo system. Default: only with embedded servers."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the API; 0 takes a free one.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder for data and logs; else HEADRACE_HOME, else ./.headrace.")
    ] = None,
) -> None:
    """Start everything: servers, workers, beat, API, Flower, and a demo system to watch.

    Without HEADRACE_DATABASE_URL and HEADRACE_BROKER_URL, Postgres and Valkey of Headrace's own are started in its
    home. Ctrl-C stops all of it within ten seconds.

    Example: headrace up --home ~/headrace
    """
    from scheduler.cli.up.run import run_up  # noqa: PLC0415 - only this command needs it

    run_up(demo=demo, port=port, home=home)


def worker(
    system: Annotated[
        list[str] | None, typer.Option("--system", help="Serve this system only; may be given several times.")
    ] = None,
    lane: Annotated[
        LaneChoice,
        typer.Option(help="main: webhooks, on demand, scheduled. bulk: history and sweeps. all: both."),
    ] = "all",
) -> None:
    """Carry out runs. Start as many as you like, on as many machines as you like.

    Example: headrace worker --system tryton --lane main
    """
    settings = load_settings()
    systems = tuple(system or ())
    _check_systems(settings, systems)
    if lane == "all":
        from scheduler.cli.lanes import run_lanes  # noqa: PLC0415

        raise typer.Exit(run_lanes(settings, systems))
    from worker.process import run_worker  # noqa: PLC0415 - brings Celery

    configure_logging(settings, process=f"worker-{lane}")
    run_worker(settings, systems=systems, bulk=lane == "bulk")


def beat() -> None:
    """Decide when: ask for due runs, bring back those of dead workers. Any number may run.

    Example: headrace beat
    """
    from scheduler.beat import run_beat  # noqa: PLC0415 - brings Celery

    settings = load_settings()
    configure_logging(settings, process="beat")
    run_beat(settings)


def serve() -> None:
    """Serve the API on HEADRACE_HOST and HEADRACE_PORT.

    Example: HEADRACE_API_TOKEN=… headrace serve
    """
    from scheduler.api.server import run_api  # noqa: PLC0415 - brings FastAPI

    settings = load_settings()
    configure_logging(settings, process="api")
    run_api(settings)


def flower() -> None:
    """Show Celery's queues and tasks in a browser: read-only, behind a login, on the loopback address.

    Example: headrace flower
    """
    from scheduler.cli.flower import run_flower  # noqa: PLC0415 - brings Flower and Celery

    settings = load_settings()
    configure_logging(settings, process="flower")
    run_flower(settings)


def migrate() -> None:
    """Bring the database to this version's schema. Harmless where it is already; run it before new code starts.

    Example: headrace migrate
    """
    from worker.db.database import Database  # noqa: PLC0415
    from worker.db.migrate import migrate as bring_up_to_date  # noqa: PLC0415

    settings = load_settings()
    database = Database(settings.require_database_url(), name="migrate", pool=1)
    try:
        before, after = bring_up_to_date(database)
    finally:
        database.close()
    if before == after:
        say(f"The schema is at {after} already.")
    else:
        say(f"The schema is at {after} now{f' (it was at {before})' if before else ''}.")


def _check_systems(settings: Settings, systems: tuple[str, ...]) -> None:
    """A typo would start a worker that waits for ever for what never comes."""
    from scheduler.cli.session import open_registry  # noqa: PLC0415

    if systems:
        registry = open_registry(settings)
        for name in systems:
            registry.get(name)
    settings.require_database_url()
    settings.require_broker_url()
