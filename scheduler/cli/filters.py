"""The options by which commands narrow what they are about: a tenant, labels, an environment."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from scheduler.connections.view import EVERYTHING, labels_of, narrowed

Environment = Literal["live", "test"]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="Only connections of this tenant.")]
WithLabel = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY:VALUE", help="Only with this label; of several, with all of them."),
]
InEnvironment = Annotated[Environment | None, typer.Option("--environment", help="Only of live or test.")]


def view_of(tenant: str | None, label: Sequence[str] | None, environment: str | None) -> dict[str, Any]:
    """What is left of everything."""
    return narrowed(EVERYTHING, environment=environment, tenant=tenant, labels=labels_of(label or ()))


def filters_of(tenant: str | None, label: Sequence[str] | None, environment: str | None) -> dict[str, Any]:
    """The same, as the client of the API takes it."""
    return {"tenant": tenant, "labels": labels_of(label or ()), "environment": environment}
