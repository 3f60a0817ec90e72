"""Which scope does each route need? Read off the routes themselves, so that one that names none can be refused."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from scheduler.access.principal import Scope
from scheduler.api.guard import is_open
from scheduler.api.who import Needs


@dataclass(frozen=True, slots=True)
class Door:
    """A route, as far as it matters who passes."""

    path: str
    methods: frozenset[str]
    scopes: frozenset[Scope]
    """What is needed; none: the route doesn't say."""

    @property
    def is_open(self) -> bool:
        return is_open(self.path)


def doors_of(app: FastAPI) -> list[Door]:
    """All routes of an application."""
    return [
        Door(
            context.path or "",
            frozenset(getattr(context.original_route, "methods", None) or ()),
            frozenset(
                _needed(context.original_route.dependant)
                if isinstance(context.original_route, APIRoute)
                else ()
            ),
        )
        for context in iter_route_contexts(app.routes)
    ]


def require_scopes(app: FastAPI) -> None:
    """Refuse to start where somebody forgot to say who may use a route: `ValueError`."""
    if forgotten := sorted(door.path for door in doors_of(app) if not door.scopes and not door.is_open):
        raise ValueError(f"These routes name no scope (scheduler.api.who): {', '.join(forgotten)}.")


def _needed(dependant: Dependant) -> Iterator[Scope]:
    if isinstance(dependant.call, Needs):
        yield dependant.call.scope
    for each in dependant.dependencies:
        yield from _needed(each)
