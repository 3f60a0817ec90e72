"""What can be asked of a Headrace elsewhere: the routes of its API as functions, their answers as plain data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx

from scheduler.client import models
from scheduler.client.errors import nonsense
from scheduler.client.raw import items_of, values_of
from scheduler.client.sending import ATTEMPTS, TIMEOUT, Sending

PAGE = 200
MOST_WAIT = 20.0

Model = TypeVar("Model")


class Client:
    """One API, asked with one token. Safe to share between threads; `with` closes its connections.

    `token` may be a function, which is asked before each request: so a token that is rotated needs no restart.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        timeout: float = TIMEOUT,
        attempts: int = ATTEMPTS,
        verify: Any = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._sending = Sending(
            url, token, timeout=timeout, attempts=attempts, verify=verify, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._sending.close()

    # Connections.

    def connections(
        self,
        *,
        tenant: str | None = None,
        labels: Mapping[str, str] | None = None,
        environment: str | None = None,
    ) -> Iterator[models.ListedConnection]:
        """All that the token sees, by name. Pages are fetched as they are needed."""
        label = [f"{key}:{value}" for key, value in (labels or {}).items()]
        params = {"tenant": tenant, "label": label or None, "environment": environment}
        yield from self._listed("/v1/connections", "connections", models.ListedConnection, params)

    def connection(self, name: str | int) -> models.Connection:
        """One, by its name, its id in a file, or its number."""
        return self._tagged(self._sending.ask("GET", _connection(name)))

    def create_connection(self, entry: Mapping[str, Any]) -> models.Connection:
        """Make one: an entry of a connections file, without the `id`. Secrets are references."""
        return self._tagged(self._sending.ask("POST", "/v1/connections", body=entry))

    def change_connection(
        self, name: str | int, patch: Mapping[str, Any], *, etag: str | None = None
    ) -> models.Connection:
        """Change what the patch names; None takes a value away. With `etag`, only if nobody else changed it since."""
        headers = {} if etag is None else {"If-Match": etag}
        return self._tagged(self._sending.ask("PATCH", _connection(name), body=patch, headers=headers))

    def delete_connection(self, name: str | int, *, data: Literal["keep", "delete"]) -> models.Removed:
        """`keep`: it is disconnected for good and its records stay readable. `delete`: it goes with all of them."""
        return self._one(
            models.Removed, self._sending.ask("DELETE", _connection(name), params={"data": data})
        )

    def pause(self, name: str | int) -> models.Paused:
        return self._one(models.Paused, self._sending.ask("POST", f"{_connection(name)}/pause"))

    def resume(self, name: str | int) -> models.Paused:
        return self._one(models.Paused, self._sending.ask("POST", f"{_connection(name)}/resume"))

    def streams(self, name: str | int) -> list[models.Stream]:
        """Its streams, and how each is doing."""
        response = self._sending.ask("GET", f"{_connection(name)}/streams")
        return [_read(models.Stream, each, response) for each in _field(response, "streams")]

    def histories(self, name: str | int) -> list[models.History]:
        """How far the histories of its streams are."""
        response = self._sending.ask("GET", f"{_connection(name)}/history")
        return [_read(models.History, each, response) for each in _field(response, "histories")]

    # Work.

    def sync(
        self,
        name: str | int,
        *,
        streams: Sequence[str] | None = None,
        scope: Mapping[str, Any] | None = None,
        wait: float = 0.0,
        idempotency_key: str | None = None,
    ) -> models.Sync:
        """Ask for a sync now; a run that is queued already is joined. `scope` reads some of one stream again:
        `{"all": True}`, `{"since": "30d"}`, `{"ids": [...]}`, `{"filters": {...}}`.
        """
        body = {"streams": None if streams is None else list(streams), "scope": scope}
        response = self._sending.ask(
            "POST",
            f"{_connection(name)}/syncs",
            params={"wait": min(wait, MOST_WAIT) or None},
            body={key: value for key, value in body.items() if value is not None},
            headers={} if idempotency_key is None else {"Idempotency-Key": idempotency_key},
            wait=wait,
        )
        return self._one(models.Sync, response)

    def runs(
        self,
        *,
        connection: str | int | None = None,
        stream: str | None = None,
        state: str | None = None,
        tenant: str | None = None,
    ) -> Iterator[models.Run]:
        """Runs, open and ended, the newest first. Pages are fetched as they are needed."""
        params = {"connection": connection, "stream": stream, "state": state, "tenant": tenant}
        yield from self._listed("/v1/runs", "runs", models.Run, params)

    def run(self, run: UUID | str, *, wait: float = 0.0) -> models.Run:
        """One run with its steps; with `wait`, once it has ended or the time is over."""
        params = {"wait": min(wait, MOST_WAIT) or None}
        return self._one(models.Run, self._sending.ask("GET", _run(run), params=params, wait=wait))

    def cancel_run(self, run: UUID | str) -> str:
        """`cancelled`, or `cancelling`: it ends at its next page."""
        return str(_field(self._sending.ask("POST", f"{_run(run)}/cancel"), "outcome"))

    def retry_run(self, run: UUID | str) -> models.AskedRun:
        return self._one(models.AskedRun, self._sending.ask("POST", f"{_run(run)}/retry"))

    # The copy.

    def records(
        self, connection: str | int, stream: str, *, deleted: bool = False, as_of: str | None = None
    ) -> Iterator[models.Record]:
        """The records of a stream in the order of their keys. Pages are fetched as they are needed."""
        params: dict[str, Any] = {"deleted": "true" if deleted else None, "as_of": as_of, "limit": PAGE}
        while True:
            response = self._sending.ask("GET", f"{_stream(connection, stream)}/records", params=params)
            found = _fields(response)
            for text in _items(found, "records", response):
                yield _record(text, response)
            params["cursor"] = found["next"][0] if "next" in found else None
            if params["cursor"] is None:
                return

    def record(
        self, connection: str | int, stream: str, key: str, *, as_of: str | None = None
    ) -> models.Record:
        """One record, also one that is gone at its system."""
        path = f"{_stream(connection, stream)}/records/{quote(key, safe='')}"
        response = self._sending.ask("GET", path, params={"as_of": as_of})
        return _record(response.text, response)

    def changes(
        self,
        after: str | None = None,
        *,
        consumer: str | None = None,
        connection: str | int | None = None,
        stream: str | None = None,
        limit: int = PAGE,
        wait: float = 0.0,
    ) -> models.ChangePage:
        """Changes after a position, `beginning` or `now`. With `wait`, put off until there is one."""
        params = {
            "after": after, "consumer": consumer, "connection": connection, "stream": stream, "limit": limit,
            "wait": wait or None,
        }  # fmt: skip
        response = self._sending.ask("GET", "/v1/changes", params=params, wait=wait)
        return self._one(models.ChangePage, response)

    def _listed(self, path: str, name: str, kind: type[Model], params: Mapping[str, Any]) -> Iterator[Model]:
        cursor = None
        while True:
            response = self._sending.ask("GET", path, params={**params, "limit": PAGE, "cursor": cursor})
            for each in _field(response, name):
                yield _read(kind, each, response)
            cursor = _field(response, "next")
            if cursor is None:
                return

    def _tagged(self, response: httpx.Response) -> models.Connection:
        return replace(self._one(models.Connection, response), etag=response.headers.get("etag"))

    def _one(self, kind: type[Model], response: httpx.Response) -> Model:
        return _read(kind, _json(response), response)


def _connection(name: str | int) -> str:
    return f"/v1/connections/{quote(str(name), safe='')}"


def _stream(connection: str | int, stream: str) -> str:
    return f"{_connection(connection)}/streams/{quote(stream, safe='')}"


def _run(run: UUID | str) -> str:
    return f"/v1/runs/{quote(str(run), safe='')}"


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise nonsense(response) from None


def _field(response: httpx.Response, name: str) -> Any:
    found = _json(response)
    if not isinstance(found, dict) or name not in found:
        raise nonsense(response)
    return found[name]


def _read(kind: type[Model], data: Any, response: httpx.Response) -> Model:
    try:
        return models.read(kind, data)
    except ValueError:
        raise nonsense(response) from None


def _fields(response: httpx.Response) -> dict[str, tuple[Any, str]]:
    """Each field's value and its own text."""
    try:
        return {name: (value, text) for name, value, text in values_of(response.text)}
    except ValueError:
        raise nonsense(response) from None


def _items(found: Mapping[str, tuple[Any, str]], name: str, response: httpx.Response) -> list[str]:
    try:
        return list(items_of(found[name][1]))
    except (KeyError, ValueError):
        raise nonsense(response) from None


def _record(text: str, response: httpx.Response) -> models.Record:
    try:
        fields = {name: (value, raw) for name, value, raw in values_of(text)}
        told = {name: value for name, (value, _) in fields.items()}
        return replace(models.read(models.Record, told), raw=fields["record"][1])
    except (KeyError, ValueError):
        raise nonsense(response) from None
