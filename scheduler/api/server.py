"""How is the API served?"""

import gc
import signal
import socket
import sys

import structlog
import uvicorn

from scheduler.access.first import let_first_in
from scheduler.api.app import create_app
from scheduler.api.around.protocol import Protocol
from worker.app import configure
from worker.config import Settings
from worker.connectors.registry import Registry
from worker.db.database import Database
from worker.db.schema_version import check_schema
from worker.errors import NeedsOperator
from worker.http.troubles import secret_troubles
from worker.runs.alive import Alive
from worker.services import all_queues

GRACE = 5
TURN = 0.001
"""Seconds for which a thread may keep the interpreter while another wants it: Python's 5 ms, a few times over, is what a
commit of webhooks takes.
"""

log = structlog.get_logger()


def run_api(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    database = Database(
        settings.require_database_url(),
        name="api",
        pool=settings.database_pool,
        idle_in_transaction_timeout=settings.idle_in_transaction_timeout,
    )
    check_schema(database)
    configure(settings, all_queues(Registry.load(settings.connectors).systems()), publisher=True)
    let_first_in(database, settings)
    app = create_app(database)
    listener = listen(settings.host, settings.port)
    alive = Alive(database, "api", troubles=secret_troubles)
    alive.start()
    # uvicorn raises the signal that ended it once more when it is done: then it is a plain end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    log.info("api_listens", host=settings.host, port=listener.getsockname()[1])
    _keep_for_ever()
    sys.setswitchinterval(TURN)
    try:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=Protocol,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
                proxy_headers=False,
            )
        )
        server.run(sockets=[listener])
    finally:
        alive.stop()
        database.close()


def _keep_for_ever() -> None:
    """What is there before the first request stays: looking through it for garbage would hold all requests up for 0.1 s."""
    gc.collect()
    gc.freeze()


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def listen(host: str, port: int) -> socket.socket:
    """The listening socket, or the error that names the port and the setting to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as exc:
        listener.close()
        raise NeedsOperator(
            "port_in_use",
            f"The API can't listen on port {port} of {host}: {exc.strerror}.",
            hint="Stop what listens there, or set HEADRACE_PORT (and HEADRACE_HOST) to something else.",
        ) from exc
    return listener
