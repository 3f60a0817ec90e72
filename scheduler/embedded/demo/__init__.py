"""The demo system that ships with Headrace: a CMMS in a process of its own, and the tests' adversary.

It is an honest third party: it imports nothing of Headrace, keeps a truth that a copy can be compared with, and has
every fault that a real system may have. Headrace knows it by its HTTP API only.
"""

from scheduler.embedded.demo.connections import connections_document
from scheduler.embedded.demo.options import DemoOptions

__all__ = ["DemoOptions", "connections_document", "serve"]


def serve(options: DemoOptions) -> None:
    """Serve until SIGTERM; see `server.py`. The server is loaded only by the process that is one."""
    from scheduler.embedded.demo.server import serve as serve_now  # noqa: PLC0415 -- starlette is slow to load

    serve_now(options)
