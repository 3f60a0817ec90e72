"""The routes of the API, a module for each noun. `ROUTES` are those that the token opens."""

from collections.abc import Callable

from fastapi import APIRouter

from scheduler.api.routes.changes import changes_routes
from scheduler.api.routes.deletes import deletes_routes
from scheduler.api.routes.history import history_routes
from scheduler.api.routes.models import models_routes
from scheduler.api.routes.proof import proof_routes
from scheduler.api.routes.subscriptions import subscriptions_routes
from scheduler.api.routes.work import work_routes
from worker.db.database import Database

ROUTES: tuple[Callable[[Database], APIRouter], ...] = (
    work_routes,
    history_routes,
    changes_routes,
    subscriptions_routes,
    deletes_routes,
    proof_routes,
    models_routes,
)
