"""What can be asked of a Headrace elsewhere: the routes of its API as functions, their answers as plain data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote
from uuid import UUID

import httpx

from scheduler.client import models
from scheduler.client.answers import (
    Model,
    field_of,
    fields_of,
    json_of,
    list_of,
    read_as,
    record_of,
    texts_in,
)
from scheduler.client.sending import ATTEMPTS, TIMEOUT, Sending

PAGE = 200
MOST_WAIT = 20.0


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
        params = _filters(tenant, labels, environment)
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

    def pause_all(
        self,
        *,
        tenant: str | None = None,
        labels: Mapping[str, str] | None = None,
        environment: str | None = None,
    ) -> models.PausedMany:
        """Pause all that the token sees of a tenant, or with all of these labels."""
        return self._all("pause", tenant, labels, environment)

    def resume_all(
        self,
        *,
        tenant: str | None = None,
        labels: Mapping[str, str] | None = None,
        environment: str | None = None,
    ) -> models.PausedMany:
        """Let all of them go on."""
        return self._all("resume", tenant, labels, environment)

    def streams(self, name: str | int) -> list[models.Stream]:
        """Its streams, and how each is doing."""
        response = self._sending.ask("GET", f"{_connection(name)}/streams")
        return [read_as(models.Stream, each, response) for each in list_of(response, "streams")]

    def histories(self, name: str | int) -> list[models.History]:
        """How far the histories of its streams are."""
        response = self._sending.ask("GET", f"{_connection(name)}/history")
        return [read_as(models.History, each, response) for each in list_of(response, "histories")]

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
        labels: Mapping[str, str] | None = None,
        environment: str | None = None,
    ) -> Iterator[models.Run]:
        """Runs, open and ended, the newest first. Pages are fetched as they are needed."""
        params = {"connection": connection, "stream": stream, "state": state}
        params |= _filters(tenant, labels, environment)
        yield from self._listed("/v1/runs", "runs", models.Run, params)

    def run(self, run: UUID | str, *, wait: float = 0.0) -> models.Run:
        """One run with its steps; with `wait`, once it has ended or the time is over."""
        params = {"wait": min(wait, MOST_WAIT) or None}
        return self._one(models.Run, self._sending.ask("GET", _run(run), params=params, wait=wait))

    def cancel_run(self, run: UUID | str) -> str:
        """`cancelled`, or `cancelling`: it ends at its next page."""
        return str(field_of(self._sending.ask("POST", f"{_run(run)}/cancel"), "outcome"))

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
            found = fields_of(response)
            for text in texts_in(found, "records", response):
                yield record_of(text, response)
            params["cursor"] = found["next"][0] if "next" in found else None
            if params["cursor"] is None:
                return

    def record(
        self, connection: str | int, stream: str, key: str, *, as_of: str | None = None
    ) -> models.Record:
        """One record, also one that is gone at its system."""
        path = f"{_stream(connection, stream)}/records/{quote(key, safe='')}"
        response = self._sending.ask("GET", path, params={"as_of": as_of})
        return record_of(response.text, response)

    def changes(
        self,
        after: str | None = None,
        *,
        consumer: str | None = None,
        connection: str | int | None = None,
        stream: str | None = None,
        tenant: str | None = None,
        labels: Mapping[str, str] | None = None,
        environment: str | None = None,
        limit: int = PAGE,
        wait: float = 0.0,
    ) -> models.ChangePage:
        """Changes after a position, `beginning` or `now`. With `wait`, put off until there is one."""
        params = {
            "after": after, "consumer": consumer, "connection": connection, "stream": stream, "limit": limit,
            "wait": wait or None, **_filters(tenant, labels, environment),
        }  # fmt: skip
        response = self._sending.ask("GET", "/v1/changes", params=params, wait=wait)
        return self._one(models.ChangePage, response)

    def _all(
        self, act: str, tenant: str | None, labels: Mapping[str, str] | None, environment: str | None
    ) -> models.PausedMany:
        given = {"tenant": tenant, "labels": labels and dict(labels), "environment": environment}
        body = {key: value for key, value in given.items() if value}
        return self._one(models.PausedMany, self._sending.ask("POST", f"/v1/connections/{act}", body=body))

    def _listed(self, path: str, name: str, kind: type[Model], params: Mapping[str, Any]) -> Iterator[Model]:
        cursor = None
        while True:
            response = self._sending.ask("GET", path, params={**params, "limit": PAGE, "cursor": cursor})
            for each in list_of(response, name):
                yield read_as(kind, each, response)
            cursor = field_of(response, "next")
            if cursor is None:
                return

    def _tagged(self, response: httpx.Response) -> models.Connection:
        return replace(self._one(models.Connection, response), etag=response.headers.get("etag"))

    def _one(self, kind: type[Model], response: httpx.Response) -> Model:
        return read_as(kind, json_of(response), response)


def _filters(tenant: str | None, labels: Mapping[str, str] | None, environment: str | None) -> dict[str, Any]:
    """Parameters of lists."""
    label = [f"{key}:{value}" for key, value in (labels or {}).items()]
    return {"tenant": tenant, "label": label or None, "environment": environment}


def _connection(name: str | int) -> str:
    return f"/v1/connections/{quote(str(name), safe='')}"


def _stream(connection: str | int, stream: str) -> str:
    return f"{_connection(connection)}/streams/{quote(stream, safe='')}"


def _run(run: UUID | str) -> str:
    return f"/v1/runs/{quote(str(run), safe='')}"
