"""Which connections is a list about? Those that whoever asks sees, narrowed by `tenant`, `label` and `environment`."""

from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from pydantic import Field

from scheduler.api.shapes import NO_NUL
from scheduler.api.who import principal_of
from scheduler.connections.view import labels_of, narrowed

Tenant = Annotated[str, Query(min_length=1, max_length=200, pattern=NO_NUL)]
Label = Annotated[str, Field(max_length=400)]
Labels = Annotated[list[Label], Field(max_length=20)]
Environment = Literal["live", "test"]


def _shown(
    request: Request,
    tenant: Tenant | None = None,
    label: Annotated[Labels, Query()] = [],  # noqa: B006 - FastAPI copies it
    environment: Annotated[Environment | None, Query()] = None,
) -> dict[str, Any]:
    """`label` is key:value, and of several all must hold."""
    labels = labels_of(label, place="query.label")
    return narrowed(principal_of(request).view, environment=environment, tenant=tenant, labels=labels)


Shown = Annotated[dict[str, Any], Depends(_shown)]
"""The parameter of a route that lists: what its SQL is to ask `headrace_sees` with."""
