"""What do runs look like outside? The names of this file are a contract: fields are added, never changed or removed."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator

from scheduler.runs.syncs import Wanted
from worker.runs.states import Lane

_TIMES = ("created_at", "started_at", "finished_at", "not_before")
NO_NUL = r"^[^\x00]*$"
"""What a name given by a client fits: Postgres holds any character but this."""


def _written_out(value: object) -> object:
    """A number would be read as seconds since 1970, so `2026` as half an hour after midnight."""
    if isinstance(value, int | float) or (
        isinstance(value, str) and value.lstrip("+-").replace(".", "").isdigit()
    ):
        raise ValueError("a time is written like 2026-03-01T06:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
"""A time with its zone."""
_COUNTS = ("read", "created", "updated", "deleted", "refused", "rejected")


def run_json(row: Mapping[str, Any], *, end: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A run of a list, or, where the row has them, with its steps and all else that is known of it."""
    shape: dict[str, Any] = {
        "id": row["id"],
        "connection": row["connection"],
        "stream": row["stream"],
        "track": row["track"],
        "state": row["state"],
        "cause": row["cause"],
        "lane": Lane(row["lane"]).name.lower(),
        "attempt": row["attempt"],
        **{name: row[name] for name in _TIMES},
        "wait_reason": row["wait_reason"],
        "pages": row["pages"],
        "records": {name: row[f"records_{name}"] for name in _COUNTS},
        "error": {"code": row["error_code"], "words": row["error"]} if row["error_code"] else None,
        "merged_into": row["merged_into"],
    }
    if "steps" in row:
        shape |= {name: row[name] for name in ("request_id", "queue", "worker", "scope", "steps")}
    if end is not None:
        shape["ends_as"] = {"id": end["id"], "state": end["state"], "url": f"/v1/runs/{end['id']}"}
    return shape


def sync_json(run: Wanted) -> dict[str, Any]:
    """A run that was asked for; `joined` if it was queued before."""
    return {"id": run.id, "stream": run.stream, "joined": not run.created, "url": f"/v1/runs/{run.id}"}
