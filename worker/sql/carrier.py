"""How is one request for rows exchanged for them? In a transaction that only reads, and is over with the answer.

Promises: nothing is written or locked at the database, and nothing stays open there but an idle connection; what takes
too long is given up on both sides; a kept connection that the database had closed costs nothing but a new one.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import blake2b
from os import urandom
from threading import Lock
from time import monotonic
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from worker.connectors.contract import Response, Source
from worker.connectors.protocols.sql_asking import DISCOVER, GREATEST, LAST, MORE, Asking, Discovering
from worker.connectors.protocols.sql_settings import place_of
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.http.carrier import Errand
from worker.sql.address import Target, target_of
from worker.sql.columns import columns_of, nearest_table
from worker.sql.discovery import discovered
from worker.sql.failures import translated
from worker.sql.opening import Opened, open_connection
from worker.sql.pool import process
from worker.sql.rows import take_rows
from worker.sql.statement import Column, greatest, page

GRACE = 2.0
"""Seconds for the database to give up a statement by itself, before its connection is cut."""
MOST_LOOKS = 2000
NO_VALUE = frozenset({"22P02", "22003", "22007", "22008", "22023"})
"""By which Postgres says that a text can be no value of a column: of no row, then."""
AS_WE_READ: Mapping[str, str] = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
}
"""How Postgres writes values, whatever its user or the database prefer: else the same row would look changed."""


@dataclass(slots=True)
class Look:
    """What is known of what a stream reads."""

    columns: tuple[Column, ...]
    row: int = 0
    """About how many bytes a row has."""


class SqlCarrier:
    """Carries to databases; shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._looks: OrderedDict[Hashable, Look] = OrderedDict()

    def place(self, source: Source) -> str:
        return place_of(source.base_url)

    def exchange(self, errand: Errand) -> Response:
        """The rows, or what the database could be read for."""
        target = target_of(errand.source.base_url, errand.network)
        secret = errand.secrets.get("password")
        password = None if secret is None else secret.reveal()
        key = (
            errand.connection_id,
            str(target.url),
            tuple(sorted(errand.network.items())),
            _digest(password),
        )
        kept = process().pool.take(key)
        if kept is not None:
            try:
                return self._exchanged(errand, kept, key)
            except Transient as exc:
                if exc.code != "broken_answer" or monotonic() >= errand.deadline.at:
                    raise
        return self._exchanged(errand, self._opened(errand, target, password), key)

    def close(self) -> None:
        process().pool.close()

    def _opened(self, errand: Errand, target: Target, password: str | None) -> Opened:
        reference = errand.network.get("ca")
        ca = errand.opens(reference, False) if reference else None
        errand.moments.connecting()
        with errand.log_in():
            try:
                return open_connection(target, password, ca=ca, left=errand.deadline.at - monotonic())
            except DBAPIError as exc:
                raise translated(exc, target.place, "connecting", connecting=True) from None

    def _exchanged(self, errand: Errand, opened: Opened, key: Hashable) -> Response:
        asked = f"{errand.request.method} {errand.request.url}"
        opened.deadline = errand.deadline.at
        alarm = process().watch.at(errand.deadline.at + GRACE, opened.give_up)
        sound = False
        try:
            with _foreign_errors(opened, asked, errand):
                response = self._answered(errand, opened, key)
                opened.connection.rollback()
                sound = True
                return response
        finally:
            alarm.cancel()
            if sound or _still_sound(opened):
                process().pool.keep(key, opened)
            else:
                opened.close()

    def _answered(self, errand: Errand, opened: Opened, key: Hashable) -> Response:
        body = errand.request.body or b"{}"
        if errand.request.method == DISCOVER:
            discovering = msgspec.json.decode(body, type=Discovering)
            _begin(opened, errand, discovering.seconds)
            errand.moments.before_sending()
            return _response(errand, msgspec.json.encode(discovered(opened, discovering)))
        asking = msgspec.json.decode(body, type=Asking)
        try:
            return self._rows(errand, opened, asking, key, anew=not asking.behind)
        except DBAPIError as exc:
            if asking.one and getattr(exc.orig, "sqlstate", None) in NO_VALUE:
                return _response(errand, b"[]")
            # A column that went within the window is left out from here on, unless the stream names it.
            if not asking.behind or translated(exc, "", "").code != "no_column":
                raise
            opened.connection.rollback()
        return self._rows(errand, opened, asking, key, anew=True)

    def _rows(self, errand: Errand, opened: Opened, asking: Asking, key: Hashable, *, anew: bool) -> Response:
        clock = _begin(opened, errand, asking.seconds)
        errand.moments.before_sending()
        look = self._look(opened, asking, key, anew=anew)
        statement = page(asking, look.columns, opened.target.dialect)
        highest = opened.connection.execute(greatest(asking)).scalar() if asking.greatest else None
        options: dict[str, Any] = (
            {} if opened.target.is_sqlite else {"stream_results": True, "max_row_buffer": 1}
        )
        with opened.connection.execute(statement.select, execution_options=options) as result:
            errand.moments.answered()
            rows = take_rows(
                _fetching(result, errand),
                statement.names,
                asked=asking.rows,
                most=errand.most,
                comes=errand.moments.comes,
                likely=look.row,
            )
        headers = {**clock, MORE: "1" if rows.full else "0"}
        if highest is not None:
            headers[GREATEST] = str(highest)
        if rows.count:
            look.row = len(rows.body) // rows.count
        if rows.full:
            headers[LAST] = _placed(rows.last, asking)
        return _response(errand, rows.body, headers)

    def _look(self, opened: Opened, asking: Asking, key: Hashable, *, anew: bool) -> Look:
        """What is read, as it is now; within a window, as it was at its beginning."""
        name = (
            key,
            asking.table,
            asking.query,
            asking.fields,
            asking.cursor,
            asking.key,
            tuple(asking.equals),
        )
        with self._lock:
            known = self._looks.get(name)
        if known is not None and not anew:
            return known
        try:
            look = Look(columns_of(opened, asking), 0 if known is None else known.row)
        except HeadraceError:
            with self._lock:
                self._looks.pop(name, None)
            raise
        with self._lock:
            self._looks[name] = look
            self._looks.move_to_end(name)
            if len(self._looks) > MOST_LOOKS:
                self._looks.popitem(last=False)
        return look


@contextmanager
def _foreign_errors(opened: Opened, asked: str, errand: Errand) -> Any:
    try:
        yield
    except DBAPIError as exc:
        error = translated(exc, opened.target.place, asked)
        if monotonic() >= errand.deadline.at:
            raise Transient("timeout", f"{opened.target.place} did not answer {asked} in time.") from None
        if error.code == "no_table" and errand.request.method != DISCOVER:
            asking = msgspec.json.decode(errand.request.body or b"{}", type=Asking)
            error.hint = nearest_table(opened, asking) or error.hint
        raise error from None
    except SQLAlchemyError as exc:
        message = f"{asked} can't be said to {opened.target.place}: {type(exc).__name__}."
        raise NeedsOperator("bad_query", message) from None


def _begin(opened: Opened, errand: Errand, seconds: int) -> Mapping[str, str]:
    """Begin a transaction that reads; what the database's clock shows, as a header."""
    connection = opened.connection
    left = max(0.1, min(float(seconds), errand.deadline.at - monotonic()))
    opened.deadline = monotonic() + left
    if not opened.target.is_postgres:
        _read_only(opened)
        return {}
    told = {
        "transaction_read_only": "on",
        "statement_timeout": str(int(left * 1000)),
        **AS_WE_READ,
    }
    settings = [sa.func.set_config(name, value, True) for name, value in told.items()]
    clock = sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double)
    shown = connection.execute(sa.select(clock, *settings)).scalar_one()
    return {"date": format_datetime(datetime.fromtimestamp(shown, UTC), usegmt=True)}


_READ_ONLY: Mapping[str, str] = {
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}


def _read_only(opened: Opened) -> None:
    """SQLite's file was opened so; of others, as far as they can be told."""
    words = _READ_ONLY.get(opened.target.dialect)
    if words is not None:
        opened.connection.execute(sa.text(words))


def _fetching(result: sa.CursorResult[Any], errand: Errand) -> Callable[[int], Any]:
    def fetch(count: int) -> Any:
        if monotonic() >= errand.deadline.at:
            raise Transient("timeout", "The rows did not come in time.")
        return result.fetchmany(count)

    return fetch


def _placed(last: Any, asking: Asking) -> str:
    if last is None or None in last:
        message = f"The key of {asking.relation} is null in some rows, so there is no place to go on from."
        raise NeedsOperator("null_key", message, hint="Name columns as the key that are never null.")
    return json.dumps(last)


def _response(errand: Errand, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(200, {"content-type": "application/json", **(headers or {})}, body, errand.request.url)


def _still_sound(opened: Opened) -> bool:
    """Whether an error was about a statement, and left the connection as it was."""
    if opened.connection.closed or opened.connection.invalidated:
        return False
    with suppress(Exception):
        opened.connection.rollback()
        return not opened.connection.invalidated and not getattr(opened.driver, "closed", False)
    return False


def _digest(password: str | None) -> bytes:
    return b"" if password is None else blake2b(password.encode(), digest_size=16, key=_KEY).digest()


_KEY = urandom(32)
