"""The routes of tokens: make, look, replace, end. Nobody hands out more than they have."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from scheduler.access.issuing.grants import Grant, completed
from scheduler.access.issuing.issue import Issued, issue, revoke, rotate
from scheduler.access.issuing.reading import list_tokens, read_token, token_json
from scheduler.api.around.idempotency import keep_no_answer
from scheduler.api.lists.paging import Cursor, page_of, read_cursor
from scheduler.api.routes.access import shapes
from scheduler.api.who import ADMIN, READ, actor_of, connection_of, principal_of
from worker.db.database import Database
from worker.errors import InvalidInput


def tokens_routes(database: Database) -> APIRouter:
    """What the token opens."""
    router = APIRouter(prefix="/v1/tokens", tags=["tokens"])
    _add_reading(router, database)
    _add_issuing(router, database)
    return router


def _add_reading(router: APIRouter, database: Database) -> None:
    @router.get("", dependencies=ADMIN, response_model=shapes.TokensShape)
    def tokens(
        request: Request,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        owner: Annotated[shapes.Text | None, Query()] = None,
        tenant: Annotated[
            shapes.Text | None, Query(description="Those that are limited to it, alone or with others.")
        ] = None,
        *,
        ended: bool = False,
    ) -> dict[str, Any]:
        """Tokens that see no more than yours, the newest first. `ended`: also those that are no good any more."""
        [before] = read_cursor(cursor, UUID)
        rows = list_tokens(
            database,
            principal_of(request),
            limit=limit + 1,
            before=before,
            ended=ended,
            owner=owner,
            tenant=tenant,
        )
        return page_of("tokens", rows, limit, by=lambda row: (row["id"],), shape=token_json)

    @router.get("/self", dependencies=READ, response_model=shapes.TokenShape)
    def own_token(request: Request) -> dict[str, Any]:
        """Your own: what it allows, and whether it wants looking after."""
        who = principal_of(request)
        return token_json(read_token(database, who.token_id, who))

    @router.get("/{token_id}", dependencies=ADMIN, response_model=shapes.TokenShape)
    def token(token_id: UUID, request: Request) -> dict[str, Any]:
        """One token, without itself: nobody has it but whoever was shown it."""
        return token_json(read_token(database, token_id, principal_of(request)))


def _add_issuing(router: APIRouter, database: Database) -> None:
    @router.post("", status_code=201, dependencies=ADMIN, response_model=shapes.IssuedShape)
    def create(body: shapes.NewToken, request: Request, response: Response) -> dict[str, Any]:
        """Make a token. The answer shows it, and nothing ever does again."""
        keep_no_answer(request)
        who = principal_of(request)
        grant = completed(who, _grant(body, request, database), body.model_fields_set)
        made = issue(
            database, actor_of(request), who, name=body.name, owner=body.owner or who.owner, grant=grant
        )
        return _shown(made, response)

    @router.post("/{token_id}/rotate", status_code=201, dependencies=ADMIN, response_model=shapes.IssuedShape)
    def replace(
        token_id: UUID, request: Request, response: Response, body: shapes.Rotation | None = None
    ) -> dict[str, Any]:
        """Replace a token by a fresh one that allows the same. The old one is good for `overlap` seconds more."""
        keep_no_answer(request)
        wanted = body or shapes.Rotation()
        _require_future(wanted.expires_at)
        made = rotate(
            database,
            actor_of(request),
            principal_of(request),
            token_id,
            overlap=wanted.overlap,
            expires_at=wanted.expires_at,
        )
        return _shown(made, response)

    @router.post("/{token_id}/revoke", dependencies=ADMIN, response_model=shapes.RevokedShape)
    def end(token_id: UUID, request: Request, body: shapes.Revocation | None = None) -> dict[str, Any]:
        """End a token: its next request is refused, in every process. Also your own."""
        wanted = body or shapes.Revocation()
        done = revoke(
            database, actor_of(request), principal_of(request), token_id, with_made=wanted.with_made
        )
        made = [row["id"] for row in done.made]
        return token_json(done.row) | {"changed": done.changed, "made": made, "notes": done.warnings}


def _grant(body: shapes.NewToken, request: Request, database: Database) -> Grant:
    _require_future(body.expires_at)
    named = body.connections
    seen = None if named is None else [connection_of(request, database, text)["id"] for text in named]
    return Grant(
        environment=principal_of(request).environment,
        scopes=frozenset(body.scopes),
        connections=None if seen is None else frozenset(seen),
        tenants=None if body.tenants is None else frozenset(body.tenants),
        networks=None if body.networks is None else tuple(body.networks),
        secret_prefixes=None if body.secret_prefixes is None else tuple(body.secret_prefixes),
        expires_at=body.expires_at,
    )


def _require_future(moment: datetime | None) -> None:
    if moment is not None and moment <= datetime.now(UTC):
        raise InvalidInput("bad_value", "It would have ended already.", place="body.expires_at")


def _shown(made: Issued, response: Response) -> dict[str, Any]:
    response.headers["Location"] = f"/v1/tokens/{made.row['id']}"
    return token_json(made.row) | {"token": made.token}
