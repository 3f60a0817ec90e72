"""The commands that run something until it is told to stop, and the one that prepares the database."""

from pathlib import Path
from typing import Annotated

import typer

from scheduler.cli.fleet.sizes import LaneChoice
from scheduler.cli.output import say
from worker.config import Settings, load_settings
from worker.errors import InvalidInput
from worker.telemetry.logs import configure_logging


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
    *,
    system: Annotated[
        list[str] | None, typer.Option("--system", help="Serve this system only; may be given several times.")
    ] = None,
    lane: Annotated[
        LaneChoice,
        typer.Option(help="main: webhooks, on demand, scheduled. bulk: history and sweeps. all: both."),
    ] = "all",
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, max=512, help="Processes of the main lanes. Default: one for each CPU we may use."
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=256, help="Runs side by side in each of them. Default: 32.")
    ] = None,
    bulk_processes: Annotated[
        int | None,
        typer.Option(min=1, max=512, help="Processes of the bulk lane. Default: one for every two CPUs."),
    ] = None,
    bulk_concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="Runs side by side in each of those. Default: 4.")
    ] = None,
    one_process: Annotated[
        bool,
        typer.Option(
            "--one-process",
            help="Be one worker process of --lane, watched over by systemd or Kubernetes and not by us.",
        ),
    ] = False,
    supervisor: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Carry out runs. Start it once on each machine: it starts as many processes as the machine has use for.

    What it chose, and why, is the first line that it logs. A CPU limit of a container and a CPU affinity are respected.
    A process that dies is started again, the others go on. More processes for more CPUs; more --concurrency where runs
    wait for slow systems (HEADRACE_PROCESSES, HEADRACE_CONCURRENCY and so on say the same). docs/running-workers.md
    tells how to choose.

    Example: headrace worker --system tryton --concurrency 64
    """
    sizes = {
        "processes": processes,
        "concurrency": concurrency,
        "bulk_processes": bulk_processes,
        "bulk_concurrency": bulk_concurrency,
    }
    settings = load_settings(**{name: size for name, size in sizes.items() if size is not None})
    systems = tuple(system or ())
    _check_systems(settings, systems)
    if one_process and lane == "all":
        raise InvalidInput(
            "bad_option", "--one-process serves one lane.", hint="Add --lane main or --lane bulk."
        )
    if not one_process:
        from scheduler.cli.fleet.run import run_fleet  # noqa: PLC0415

        configure_logging(settings, process="worker")
        raise typer.Exit(run_fleet(settings, systems, lane))
    from worker.process import run_worker  # noqa: PLC0415 - brings Celery

    configure_logging(settings, process=f"worker-{lane}")
    raise typer.Exit(run_worker(settings, systems=systems, bulk=lane == "bulk", supervisor=supervisor))


def beat() -> None:
    """Decide when: ask for due runs, bring back those of dead workers. Any number may run.

    Example: headrace beat
    """
    from scheduler.beat.process import run_beat  # noqa: PLC0415 - brings Celery

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
