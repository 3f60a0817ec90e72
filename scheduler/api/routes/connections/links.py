"""The routes of connect links: make one, look at them, take one back."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.around.idempotency import keep_no_answer
from scheduler.api.consent.visit import base_url
from scheduler.api.lists.paging import Cursor, page_of, read_cursor
from scheduler.api.routes.connections import shapes
from scheduler.api.shapes import NO_NUL
from scheduler.api.who import ADMIN, actor_of, connection_of, principal_of
from scheduler.connections.consent.links import NewLink, create_link, list_links, revoke_link
from scheduler.connections.editing.rights import defaults_of
from scheduler.connections.systems import known_systems
from worker.config import load_settings
from worker.db.database import Database
from worker.errors import InvalidInput

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
_SHOWN = (
    "id",
    "environment",
    "system",
    "name",
    "tenant",
    "created_at",
    "created_by",
    "expires_at",
    "opened_at",
    "used_at",
    "revoked_at",
)


class NewConnectLink(BaseModel):
    """With `connection` that one is logged in again; else `system` and `name` say what is made. `store` begins the references
    that what is typed in is written to. Given `secrets` (references) go with given `settings`: nothing of where they are
    sent is asked of the customer. Where the customer says which host is asked, it must have a public address, unless
    `private_addresses` is true.
    """

    model_config = ConfigDict(extra="forbid")

    connection: Text | None = None
    system: Text | None = None
    name: Text | None = None
    tenant: Text | None = None
    labels: dict[Text, Annotated[str, Field(max_length=200, pattern=NO_NUL)]] | None = None
    settings: dict[Text, str | int | bool] | None = None
    secrets: dict[Text, Annotated[str, Field(max_length=4096, pattern=NO_NUL)]] | None = None
    store: Annotated[str, Field(min_length=1, max_length=1000, pattern=NO_NUL)]
    return_url: Annotated[str, Field(max_length=2000, pattern=NO_NUL)] | None = None
    private_addresses: bool | None = None
    hours: Annotated[float, Field(gt=0, le=30 * 24)] = 72


def links_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/connect-links", tags=["connections"])

    @router.post("", status_code=201, dependencies=ADMIN, response_model=shapes.MadeLink)
    def create(body: NewConnectLink, request: Request) -> dict[str, Any]:
        """A link for a customer. The answer shows its address, and nothing ever does again."""
        who = principal_of(request)
        keep_no_answer(request)
        row, secret = create_link(
            database, known_systems(), _wanted(body, request, database), who, actor_of(request)
        )
        url = f"{base_url(request, load_settings().public_url)}/connect/{secret}"
        return {**{name: row[name] for name in _SHOWN}, "connection": row["connection_id"], "url": url}

    @router.get("", dependencies=ADMIN, response_model=shapes.Links)
    def links(
        *,
        request: Request,
        tenant: Annotated[Text | None, Query()] = None,
        system: Annotated[Text | None, Query()] = None,
        connection: Annotated[Text | None, Query(description="Those that log it in again.")] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """The newest first, without what opens them."""
        [before] = read_cursor(cursor, UUID)
        rows = list_links(
            database,
            principal_of(request),
            tenant=tenant,
            system=system,
            connection=None if connection is None else connection_of(request, database, connection)["id"],
            limit=limit + 1,
            before=before,
        )
        return page_of("links", rows, limit, by=lambda row: (row["id"],), shape=_shown)

    @router.delete("/{link_id}", dependencies=ADMIN, response_model=shapes.Link)
    def revoke(link_id: UUID, request: Request) -> dict[str, Any]:
        """It opens nothing from now on, whoever has it."""
        return _shown(revoke_link(database, link_id, principal_of(request), actor_of(request)))

    return router


def _shown(row: Any) -> dict[str, Any]:
    return {**{name: row[name] for name in _SHOWN}, "connection": row["connection_id"]}


def _wanted(body: NewConnectLink, request: Request, database: Database) -> NewLink:
    common: dict[str, Any] = {
        "store": body.store, "seconds": body.hours * 3600, "secrets": body.secrets, "return_url": body.return_url,
    }  # fmt: skip
    if body.connection is not None:
        for name in ("system", "name", "tenant", "labels", "settings", "private_addresses"):
            if getattr(body, name) is not None:
                message = f"A connection that is there has its {name} already."
                raise InvalidInput("bad_value", message, place=f"body.{name}")
        row = connection_of(request, database, body.connection)
        known = {name: row[name] for name in ("system", "environment", "name", "tenant")}
        return NewLink(**known, **common, connection=row)
    if body.system is None or body.name is None:
        missing = "system" if body.system is None else "name"
        raise InvalidInput(
            "missing_key", f"{missing} is missing.", place=f"body.{missing}",
            hint="Name a connection to log in again, or the system and name of a new one.",
        )  # fmt: skip
    defaults = defaults_of(principal_of(request))
    return NewLink(
        system=body.system,
        name=body.name,
        environment=defaults["environment"],
        tenant=body.tenant or defaults.get("tenant"),
        labels=body.labels,
        settings=body.settings,
        private_addresses=bool(body.private_addresses),
        **common,
    )
