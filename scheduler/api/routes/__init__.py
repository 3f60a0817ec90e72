"""The routes of the API, a module for each noun. `ROUTES` are those that the token opens."""

from collections.abc import Callable

from fastapi import APIRouter

from scheduler.api.routes.access.audit import audit_routes
from scheduler.api.routes.access.sessions import sessions_routes
from scheduler.api.routes.access.tokens import tokens_routes
from scheduler.api.routes.connections.connections import connections_routes
from scheduler.api.routes.connections.links import links_routes
from scheduler.api.routes.connections.states import states_routes
from scheduler.api.routes.connections.streams import streams_routes
from scheduler.api.routes.connections.trials import trials_routes
from scheduler.api.routes.connections.versions import versions_routes
from scheduler.api.routes.feed.changes import changes_routes
from scheduler.api.routes.feed.models import models_routes
from scheduler.api.routes.feed.subscriptions import subscriptions_routes
from scheduler.api.routes.proof.deletes import deletes_routes
from scheduler.api.routes.proof.proof import proof_routes
from scheduler.api.routes.webhooks.events import events_routes
from scheduler.api.routes.webhooks.numbers import webhook_numbers_routes
from scheduler.api.routes.work.copy import copy_routes
from scheduler.api.routes.work.history import history_routes
from scheduler.api.routes.work.records import records_routes
from scheduler.api.routes.work.runs import runs_routes
from scheduler.api.routes.work.syncs import syncs_routes
from scheduler.api.routes.work.systems import systems_routes
from worker.db.database import Database

ROUTES: tuple[Callable[[Database], APIRouter], ...] = (
    connections_routes,
    states_routes,
    streams_routes,
    trials_routes,
    versions_routes,
    links_routes,
    syncs_routes,
    runs_routes,
    history_routes,
    records_routes,
    copy_routes,
    systems_routes,
    changes_routes,
    subscriptions_routes,
    deletes_routes,
    proof_routes,
    models_routes,
    tokens_routes,
    sessions_routes,
    audit_routes,
    events_routes,
    webhook_numbers_routes,
)
