"""What does the ERP itself say? A small JSON-RPC client for tests, which shares nothing with the connector.

Values come and go as Python's own: datetimes (aware, UTC), dates, decimals, bytes.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import httpx

_PAGE = 500
_TIME_PARTS = ("hour", "minute", "second", "microsecond")
_DAY_PARTS = ("year", "month", "day")


class TrytonRefused(Exception):
    """The ERP said no: by an error in its answer, or by a status."""


class TrytonClient:
    """One login. Models are named as the ERP does, such as `party.party`."""

    def __init__(self, base_url: str, database: str, username: str, password: str) -> None:
        self.context: dict[str, Any] = {}
        self.session = ""
        self._url = f"{base_url}/{database}/rpc/"
        self._http = httpx.Client(timeout=120, trust_env=False)
        self._ids = count(1)
        uid, token, *_ = self._post("common.db.login", [username, {"password": password}])
        self.user_id: int = uid
        self.session = base64.b64encode(f"{username}:{uid}:{token}".encode()).decode()

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, *args: Any) -> Any:
        """Call a method such as `model.party.party.search` with the context as its last argument."""
        return self._post(method, [*args, self.context])

    def rows(
        self, model: str, domain: Sequence[Any] = (), fields: Sequence[str] = ("id",)
    ) -> list[dict[str, Any]]:
        """All records that the domain finds, archived ones too, by id; `id` is always among the fields."""
        found: list[dict[str, Any]] = []
        names, context = sorted({"id", *fields}), {**self.context, "active_test": False}
        while True:
            last = found[-1]["id"] if found else 0
            after = [["id", ">", last], list(domain)]
            params = [after, 0, _PAGE, [["id", "ASC"]], names, context]
            page = self._post(f"model.{model}.search_read", params)
            found += page
            if len(page) < _PAGE:
                return found

    def ids(self, model: str, domain: Sequence[Any] = ()) -> list[int]:
        """The ids of the records that the domain finds, in order."""
        return list(self.call(f"model.{model}.search", list(domain), 0, None, [["id", "ASC"]]))

    def create(self, model: str, values: Iterable[Mapping[str, Any]]) -> list[int]:
        """Create the records in one transaction (so with one create_date); their ids."""
        return list(self.call(f"model.{model}.create", [dict(row) for row in values]))

    def edit(self, model: str, ids: Sequence[int], values: Mapping[str, Any]) -> None:
        """Change the records in one transaction."""
        self.call(f"model.{model}.write", list(ids), dict(values))

    def delete(self, model: str, ids: Sequence[int]) -> None:
        """Delete the records; they leave no trace."""
        self.call(f"model.{model}.delete", list(ids))

    def press(self, model: str, button: str, ids: Sequence[int]) -> None:
        """Press a button, such as `quote` on a purchase."""
        self.call(f"model.{model}.{button}", list(ids))

    def end_session(self, session: str) -> None:
        """Log out the session of that token (what stands behind `Session ` in the header), as if it had expired."""
        self._send(
            {"id": next(self._ids), "method": "common.db.logout", "params": []}, session
        ).raise_for_status()

    def _post(self, method: str, params: list[Any]) -> Any:
        asked = {"id": next(self._ids), "method": method, "params": params}
        response = self._send(asked, self.session)
        if response.status_code != 200:
            raise TrytonRefused(f"{method}: HTTP {response.status_code} {response.text[:300]}")
        answer = read_json(response.content)
        if "error" in answer:
            raise TrytonRefused(f"{method}: {json.dumps(answer['error'], default=str)[:1000]}")
        return answer["result"]

    def _send(self, asked: Mapping[str, Any], session: str) -> httpx.Response:
        # Long answers claim to be gzip, and are only if we said that we take it.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
        if session:
            headers["Authorization"] = f"Session {session}"
        return self._http.post(self._url, content=json.dumps(asked, default=_to_wire), headers=headers)


_READERS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "datetime": lambda found: _utc(*_parts(found, *_DAY_PARTS, *_TIME_PARTS)),
    "date": lambda found: date(*_parts(found, *_DAY_PARTS)),
    "Decimal": lambda found: Decimal(found["decimal"]),
    "bytes": lambda found: base64.b64decode(found["base64"]),
}


def read_json(text: bytes) -> Any:
    """Tryton's JSON as Python's own values."""
    return json.loads(text, object_hook=_from_wire)


def _from_wire(found: dict[str, Any]) -> Any:
    read = _READERS.get(found.get("__class__", ""))
    return read(found) if read else found


def _utc(*parts: int) -> datetime:
    year, month, day, hour, minute, second, microsecond = parts
    return datetime(year, month, day, hour, minute, second, microsecond, UTC)


def _parts(found: dict[str, Any], *names: str) -> list[int]:
    return [found.get(name, 0) for name in names]


def _to_wire(value: Any) -> dict[str, Any]:
    match value:
        case datetime():
            utc = value.astimezone(UTC)
            return {"__class__": "datetime"} | {
                name: getattr(utc, name) for name in (*_DAY_PARTS, *_TIME_PARTS)
            }
        case date():
            return {"__class__": "date"} | {name: getattr(value, name) for name in _DAY_PARTS}
        case Decimal():
            return {"__class__": "Decimal", "decimal": str(value)}
        case bytes():
            return {"__class__": "bytes", "base64": base64.b64encode(value).decode()}
        case _:
            raise TypeError(f"Tryton's JSON has no word for {type(value).__name__}.")
