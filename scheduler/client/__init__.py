"""Headrace from a program: a typed client of the API.

    from scheduler.client import Client

    with Client("https://headrace.example.com", token) as headrace:
        sync = headrace.sync("plant", streams=["work_orders"], wait=20)
        for record in headrace.records("plant", "work_orders"):
            print(record.key, record.record)

What goes wrong is a `HeadraceError` with the API's stable `code`, `status` and `request_id` (`errors`). A POST carries an
`Idempotency-Key`, so that one which is sent again after a cut does its work once.
"""

from scheduler.client.client import Client
from scheduler.client.errors import ApiError, Denied, NotThere, Unavailable, Wrong
from scheduler.client.models import (
    AskedRun,
    ChangePage,
    Connection,
    Failure,
    ListedConnection,
    Paused,
    PausedMany,
    Record,
    Removed,
    Run,
    Stream,
    Sync,
)

__all__ = [
    "ApiError",
    "AskedRun",
    "ChangePage",
    "Client",
    "Connection",
    "Denied",
    "Failure",
    "ListedConnection",
    "NotThere",
    "Paused",
    "PausedMany",
    "Record",
    "Removed",
    "Run",
    "Stream",
    "Sync",
    "Unavailable",
    "Wrong",
]
