"""The routes of the API, a module for each noun. `ROUTES` are those that the token opens."""

from collections.abc import Callable

from fastapi import APIRouter

from scheduler.api.routes.access.audit import audit_routes
from scheduler.api.routes.access.sessions import sessions_routes
from scheduler.api.routes.access.tokens import tokens_routes
from scheduler.api.routes.feed.changes import changes_routes
from scheduler.api.routes.feed.models import models_routes
from scheduler.api.routes.feed.subscriptions import subscriptions_routes
from scheduler.api.routes.proof.deletes import deletes_routes
from scheduler.api.routes.proof.proof import proof_routes
from scheduler.api.routes.work.history import history_routes
from scheduler.api.routes.work.syncs import work_routes
from worker.db.database import Database

ROUTES: tuple[Callable[[Database], APIRouter], ...] = (
    work_routes,
    history_routes,
    changes_routes,
    subscriptions_routes,
    deletes_routes,
    proof_routes,
    models_routes,
    tokens_routes,
    sessions_routes,
    audit_routes,
)
