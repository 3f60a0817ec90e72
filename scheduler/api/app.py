"""The API as an application: its routes, and what stands around them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool

from scheduler.access.door.sessions import find_session
from scheduler.access.door.sources import read_networks
from scheduler.access.repeats.keys import Keys
from scheduler.access.store import find_principal
from scheduler.api.around.idempotency import Idempotency
from scheduler.api.around.parameters import refuse_unknown
from scheduler.api.around.rates import RateLimit, Rates
from scheduler.api.consent.clearing import clear_for_ever
from scheduler.api.consent.routes import consent_routes
from scheduler.api.frame import Frame
from scheduler.api.guard import Guard
from scheduler.api.problems import add_handlers
from scheduler.api.ready import Readiness
from scheduler.api.routes import ROUTES
from scheduler.api.routes.access.login import login_routes
from scheduler.api.routes.document import document_routes
from scheduler.api.routes.flower import flower_routes
from scheduler.api.routes.health import health_routes
from scheduler.api.routes.webhooks.receive import Receiver, Webhooks
from scheduler.api.scopes import require_scopes
from scheduler.health.looks import readiness
from worker.config import load_settings
from worker.db.database import Database
from worker.limits.guesses import SharedGuesses


def create_app(database: Database) -> FastAPI:
    """The application. `worker.app` must have been configured for publishing."""
    # No pages of documentation: theirs load scripts from elsewhere.
    receiver = Receiver(database)
    app = FastAPI(
        title="Headrace",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=partial(_living, database, receiver),
    )
    app.include_router(health_routes(Readiness(lambda: readiness(database))))
    app.include_router(document_routes(), dependencies=[Depends(refuse_unknown)])
    for routes in ROUTES:
        app.include_router(routes(database), dependencies=[Depends(refuse_unknown)])
    app.include_router(flower_routes())
    app.include_router(login_routes(database), dependencies=[Depends(refuse_unknown)])
    app.include_router(consent_routes(database))
    require_scopes(app)
    add_handlers(app)
    app.add_middleware(Idempotency, keys=Keys(database))
    settings = load_settings()
    if (quota := settings.api_rate) > 0:
        app.add_middleware(RateLimit, rates=Rates(quota))
    app.add_middleware(Webhooks, receiver=receiver)
    broker = settings.broker_url
    guesses = None if broker is None else SharedGuesses(broker.get_secret_value())
    app.add_middleware(
        Guard,
        find=partial(find_principal, database),
        find_session=partial(find_session, database),
        trusted=read_networks(settings.trusted_proxies),
        public_url=settings.public_url,
        count=None if guesses is None else guesses.add,
    )
    app.add_middleware(Frame)
    return app


@asynccontextmanager
async def _living(database: Database, receiver: Receiver, _app: FastAPI) -> AsyncIterator[None]:
    """At a clean stop, which comes when the last answer is out, what webhooks told of is passed on and counted."""
    clearing = asyncio.create_task(clear_for_ever(database))
    yield
    clearing.cancel()
    await run_in_threadpool(receiver.close)
