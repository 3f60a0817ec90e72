"""Which query parameters does a route know? Any other is refused."""

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from worker.errors import InvalidInput
from worker.parsing.wording import suggest


def refuse_unknown(request: Request) -> None:
    """A misspelled filter would otherwise be none, and the answer everything."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = _known(route.dependant)
    for name in request.query_params:
        if name not in known:
            raise InvalidInput(
                "unknown_parameter",
                f"There is no query parameter {name[:60]!r} here.",
                place="query",
                hint=suggest(name, known) or None,
            )


def _known(dependant: Dependant) -> set[str]:
    """The names of its parameters, and of what it depends on; of one that is a model, those of its fields."""
    known: set[str] = set().union(*map(_known, dependant.dependencies))
    for field in dependant.query_params:
        shape = field.field_info.annotation
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            known |= set(shape.model_fields)
        else:
            known.add(field.alias)
    return known
