"""What can somebody with the control token do to the demo system, and what does it say about itself?

Everything under /control: the truth to compare with, the counts, faults, and changes by hand. Without a control token
there is nothing here at all.
"""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scheduler.embedded.demo.api import answers
from scheduler.embedded.demo.faults import FaultError
from scheduler.embedded.demo.plant.memory.store import encode
from scheduler.embedded.demo.plant.schema import ENTITIES, Change, Kind, RecordId, iso, parse_iso
from scheduler.embedded.demo.system import System

Handler = Callable[[Request], Awaitable[Response]]


class BadControl(ValueError):
    """What was asked for can't be done, and why."""


def control_routes(system: System) -> list[Route]:
    token = system.options.control_token
    if token is None:
        return []
    control = Control(system)

    def route(method: str, path: str, handler: Handler) -> Route:
        return Route(f"/control/{path}", _guarded(handler, token), methods=[method])

    return [
        route("GET", "truth", control.truth),
        route("GET", "stats", control.stats),
        route("DELETE", "stats", control.forget_stats),
        route("GET", "faults", control.show_faults),
        route("POST", "faults", control.set_faults),
        route("DELETE", "faults", control.clear_faults),
        route("GET", "life", control.life),
        route("POST", "freeze", control.freeze),
        route("POST", "thaw", control.thaw),
        route("POST", "tick", control.tick),
        route("POST", "create", control.create),
        route("POST", "change", control.change),
        route("POST", "delete", control.delete),
        route("POST", "purge", control.purge),
        route("POST", "restore", control.restore),
        route("POST", "bulk", control.bulk),
        route("POST", "limits", control.limits),
    ]


def _guarded(handler: Handler, token: str) -> Handler:
    async def handle(request: Request) -> Response:
        given = request.headers.get("x-control-token", "")
        if not hmac.compare_digest(given.encode(), token.encode()):
            return answers.refused(401, "unauthorized", "X-Control-Token is missing or wrong.")
        try:
            return await handler(request)
        except (BadControl, FaultError, LookupError) as wrong:
            return answers.refused(400, "bad_request", str(wrong))
        except OSError as error:
            return answers.refused(507, "journal_failed", f"Nothing was changed: {error}.")

    return handle


class Control:
    def __init__(self, system: System) -> None:
        self.system = system

    async def truth(self, request: Request) -> Response:
        """Every live record as the API would send it now, and the ids of the deleted and of the purged ones."""
        entity = _entity(request.query_params.get("entity"))
        self.system.plant.now()
        shelf = self.system.plant.store.shelves[entity]
        gone = [record_id for record_id, item in shelf.items.items() if item.deleted]
        purged = [record_id for _, record_id in shelf.purged]
        told = {"deleted_ids": gone, "purged_ids": purged, "entity": entity, **self.system.state()}
        rest = json.dumps(told)[1:]
        return answers.body(b'{"records":[' + b",".join(row[2] for row in shelf.live) + b"]," + rest.encode())

    async def stats(self, request: Request) -> Response:
        """Arrivals are [seconds since 1970, number of the token, admitted]; `?arrivals=false` leaves them out."""
        counts, limiter = self.system.counts, self.system.limiter
        told: dict[str, Any] = {
            "requests": sum(counts.by_status.values()),
            "by_status": {str(status): count for status, count in sorted(counts.by_status.items())},
            "concurrency": {"now": counts.under_way, "max": counts.most_under_way},
            "limit": {"requests": limiter.requests, "per": limiter.per},
            "webhooks": self.system.hooks.counts(),
        }
        if request.query_params.get("arrivals") != "false":
            told["arrivals"] = [[a.at, a.token, a.admitted] for a in limiter.arrivals()]
        return answers.as_json(told)

    async def forget_stats(self, _request: Request) -> Response:
        self.system.counts.by_status.clear()
        self.system.counts.most_under_way = self.system.counts.under_way
        self.system.limiter.forget_arrivals()
        return answers.as_json({})

    async def show_faults(self, _request: Request) -> Response:
        return answers.as_json(self.system.faults.as_json(self.system.plant.now()))

    async def set_faults(self, request: Request) -> Response:
        """`duplicate_timestamps` is done at once; all others hold until they end."""
        body, system = await _body(request), self.system
        system.faults.set(body, system.plant.now())
        restamped = system.faults.take("duplicate_timestamps", body.get("entity"), system.plant.now())
        if restamped is not None:
            system.faults.clear("duplicate_timestamps")
            for entity in [body["entity"]] if body.get("entity") else ENTITIES:
                system.plant.restamp(entity, restamped)
        return await self.show_faults(request)

    async def clear_faults(self, request: Request) -> Response:
        self.system.faults.clear(request.query_params.get("name"))
        return await self.show_faults(request)

    async def life(self, _request: Request) -> Response:
        self.system.plant.now()
        return answers.as_json(self.system.state())

    async def freeze(self, request: Request) -> Response:
        self.system.frozen = True
        return await self.life(request)

    async def thaw(self, request: Request) -> Response:
        """`?rate=` sets the rate too, in steps a second; `?hostile=true` or `false` whether life is."""
        if "rate" in request.query_params:
            self.system.rate = _number(request.query_params, "rate", 0, 10_000)
        if "hostile" in request.query_params:
            self.system.hostile = request.query_params["hostile"] == "true"
        self.system.frozen = False
        return await self.life(request)

    async def tick(self, request: Request) -> Response:
        """Take `?n=` steps of life now, frozen or not."""
        changed = 0
        for done in range(int(_number(request.query_params, "n", 1, 100_000, default=1))):
            changed += len(self.system.tick())
            if done % 200 == 199:
                await asyncio.sleep(0)
        return answers.as_json({"changed": changed, **self.system.state()})

    async def create(self, request: Request) -> Response:
        """Fields that are left out are made up."""
        body = await _body(request)
        fields = _fields(body)
        return answers.as_json(self.system.make(_entity(body.get("entity")), fields), 201)

    async def change(self, request: Request) -> Response:
        """Also `updated_at` may be given: a clock that is wrong. `without` names fields that vanish."""
        body = await _body(request)
        entity, record_id = self._named(body)
        without = body.get("without", [])
        if (
            not isinstance(without, list)
            or not all(isinstance(name, str) for name in without)
            or "id" in without
        ):
            raise BadControl("without must be a list of names of fields, and not id.")
        change = Change(entity, record_id, _fields(body), without=tuple(without))
        return answers.as_json(self.system.commit(change))

    async def delete(self, request: Request) -> Response:
        """It stays, with a flag."""
        entity, record_id = self._named(await _body(request))
        return answers.as_json(self.system.commit(Change(entity, record_id, {}, "delete")))

    async def purge(self, request: Request) -> Response:
        """It vanishes; the list of deletes tells of it. Also one that is flagged can be purged."""
        body = await _body(request)
        return self._put_away(body, "purge", "There is no record {id!r} of {entity}.")

    async def restore(self, request: Request) -> Response:
        """A deleted or purged record is back; `fields` may give it other values, and an old `updated_at`."""
        body = await _body(request)
        return self._put_away(body, "restore", "There is no deleted record {id!r} of {entity}.")

    def _put_away(self, body: Mapping[str, Any], kind: Kind, none: str) -> Response:
        entity, record_id = _entity(body.get("entity")), body.get("id")
        if not isinstance(record_id, int | str):
            raise BadControl(none.format(id=record_id, entity=entity))
        try:
            return answers.as_json(self.system.commit(Change(entity, record_id, _fields(body), kind)))
        except KeyError:
            raise BadControl(none.format(id=record_id, entity=entity)) from None

    async def bulk(self, request: Request) -> Response:
        """Make `?count=` records of `?entity=`, spread over the past `?days=` (0: they all come now)."""
        entity = _entity(request.query_params.get("entity"))
        count = int(_number(request.query_params, "count", 1, 2_000_000))
        days = _number(request.query_params, "days", 0, 10_000, default=0)
        for _ in self.system.plant.bulk(entity, count, days):
            await asyncio.sleep(0)
        return answers.as_json({"created": count, **self.system.state()}, 201)

    async def limits(self, request: Request) -> Response:
        """A new limit from now on: `{"requests": 60, "per": 10}`; 0 requests is without a limit."""
        body = await _body(request)
        requests, per = body.get("requests"), body.get("per", 60)
        if type(requests) is not int or requests < 0 or type(per) not in {int, float} or per <= 0:
            raise BadControl("requests must be a whole number from 0 up, and per seconds above 0.")
        self.system.limiter.change(requests, float(per))
        return answers.as_json({"requests": requests, "per": per})

    def _named(self, body: Mapping[str, Any]) -> tuple[str, RecordId]:
        entity, record_id = _entity(body.get("entity")), body.get("id")
        head = self.system.plant.store.head(entity, record_id) if isinstance(record_id, int | str) else None
        if head is None or head["deleted_at"] is not None:
            raise BadControl(f"There is no live record {record_id!r} of {entity}.")
        return entity, head["id"]


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise BadControl("The body is no JSON.") from error
    if not isinstance(body, dict):
        raise BadControl("The body must be a JSON object.")
    return body


def _entity(name: object) -> str:
    if not isinstance(name, str) or name not in ENTITIES:
        raise BadControl(f"entity must be one of {', '.join(ENTITIES)}.")
    return name


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    fields = body.get("fields", {})
    if not isinstance(fields, dict) or {"id", "deleted_at"} & fields.keys():
        raise BadControl("fields must be an object without id and deleted_at.")
    try:
        encode(fields)
        times = {
            name: iso(parse_iso(fields[name])) for name in ("created_at", "updated_at") if name in fields
        }
    except (OverflowError, TypeError, ValueError) as error:
        raise BadControl(f"fields can't be kept: {error}.") from error
    return fields | times


def _number(
    query: Mapping[str, str], name: str, least: float, most: float, default: float | None = None
) -> float:
    try:
        value = float(query[name]) if default is None or name in query else default
    except (KeyError, ValueError):
        value = float("nan")
    if not least <= value <= most:
        raise BadControl(f"{name} must be a number from {least} to {most}.")
    return value
