"""How is Flower run so that it can look and not touch?

Inside this process, on our Celery application object: no module is looked up by name, and no `flowerconfig.py` of the
folder we were started in is carried out. Read-only, behind a login kept in `<home>/flower-password`, on the loopback
address, nothing written to disk. Its /metrics can't be put behind the login, so it is taken out. The API shows it under
the same path, behind its own login.
"""

import signal

import structlog
from flower import urls
from flower.app import Flower
from flower.options import default_options
from flower.utils import prepend_url
from tornado.ioloop import IOLoop

from scheduler.cli.session import open_registry
from scheduler.embedded.flower import PASSWORD_FILE, PREFIX, USER
from scheduler.embedded.ports import LOOPBACK, require_free
from scheduler.embedded.private_files import kept_password, make_private_folder
from worker.app import configure
from worker.config import Settings
from worker.services import all_queues
from worker.telemetry.redaction import redactor

MAX_TASKS = 2000
FORGET_WORKERS_AFTER = 600

log = structlog.get_logger()


def run_flower(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    make_private_folder(settings.home)
    password = kept_password(settings.home / PASSWORD_FILE)
    redactor.add(password, keep=True)
    application = configure(settings, all_queues(open_registry(settings).systems()), publisher=True)
    _set_options(settings, password)
    urls.handlers[:] = [route for route in urls.handlers if _pattern(route) != "/metrics"]
    if settings.flower_port:
        require_free(settings.flower_port, server="Flower", setting="HEADRACE_FLOWER_PORT")
    prefixed = {name: prepend_url(urls.settings[name], PREFIX) for name in ("login_url", "static_url_prefix")}
    flower = Flower(capp=application, options=default_options, **{**urls.settings, **prefixed})
    port = flower.start_http_server()
    log.info("flower_listens", address=LOOPBACK, port=port, user=USER)
    loop = IOLoop.current()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.add_callback_from_signal(loop.stop))
    flower.start()
    flower.stop()


def _set_options(settings: Settings, password: str) -> None:
    """As attributes: nothing of the command line, and nothing that others can read in a process list."""
    values = {
        "address": LOOPBACK,
        "port": settings.flower_port,
        "basic_auth": [f"{USER}:{password}"],
        "url_prefix": PREFIX,
        "read_only": True,
        "persistent": False,
        "max_tasks": MAX_TASKS,
        "purge_offline_workers": FORGET_WORKERS_AFTER,
        # Workers are asked for events only where they were started to send them: an event costs as much as a wake-up.
        "enable_events": settings.task_events,
        "debug": False,
    }
    for name, value in values.items():
        setattr(default_options, name, value)


def _pattern(route: object) -> str:
    if isinstance(route, tuple):
        return str(route[0])
    return str(getattr(route, "regex", "")).removesuffix("$")
