"""What is sent to log in, and what does the answer bring? Pure."""

import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from worker.connectors.answers import failure_of_status, words_of
from worker.connectors.auth.cookies import cookies_in, written_cookies
from worker.connectors.auth.texts import Names, Text
from worker.connectors.auth.values import Credential
from worker.connectors.contract import Request, Response
from worker.connectors.cursors import parse_cursor
from worker.connectors.reading.fields import walk
from worker.connectors.reading.shape import FieldPath
from worker.errors import BadRecord, HeadraceError, NeedsOperator, Transient

COOKIES = "all cookies"
"""The name of the cookies among what a log-in brought. No text can say it."""
_CHECK = "Check the connection's user, password and keys. Some systems lock a user after a few wrong ones."
_LONGEST = 10 * 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Taken:
    """Where the answer holds a value: at a path of its JSON, or in a header."""

    path: FieldPath = ()
    header: str | None = None

    @property
    def place(self) -> str:
        return f"header {self.header}" if self.header is not None else ".".join(self.path)

    def read(self, response: Response, data: Any) -> str | None:
        found = response.headers.get(self.header) if self.header is not None else walk(data, self.path)
        if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
            return None
        return str(found)


@dataclass(frozen=True, slots=True)
class Lasting:
    """For how long what a log-in brought is good, as the answer says it, or else as the system documents it."""

    seconds: FieldPath | None = None
    per_second: float = 1.0
    """How many of the answer's units make a second."""
    at: FieldPath | None = None
    form: str = "iso8601"
    otherwise: float | None = None

    def read(self, data: Any) -> dict[str, str]:
        """As whoever sends takes it. What can't be read says nothing: the system will say when the end has come."""
        if self.seconds is not None and (seconds := _number(walk(data, self.seconds))) is not None:
            seconds /= self.per_second
            if 0 < seconds < _LONGEST:
                return {"expires_in": f"{seconds:.0f}"}
        if self.at is not None and (moment := self._moment(walk(data, self.at))) is not None:
            return {"expires_at": f"{moment.timestamp():.0f}"}
        return {} if self.otherwise is None else {"expires_in": f"{self.otherwise:.0f}"}

    def _moment(self, found: Any) -> datetime | None:
        try:
            moment = parse_cursor(found, self.form)
        except BadRecord:
            return None
        return moment if isinstance(moment, datetime) else None


@dataclass(frozen=True, slots=True)
class Opened:
    """What a log-in brought."""

    session: dict[str, str] = field(repr=False)
    lasting: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Opening:
    """The log-in of one connection."""

    method: str
    url: str
    headers: Mapping[str, Text] = field(default_factory=dict)
    basic: tuple[Credential, Credential] | None = None
    json: Any = None
    form: Mapping[str, Text] | None = None
    take: Mapping[str, Taken] = field(default_factory=dict)
    cookies: Collection[str] | None = ()
    """Which are kept; None: all."""
    lasting: Lasting = Lasting()
    meaning: Callable[[Response], HeadraceError | None] | None = None
    """What the system says by an answer, in words of its own."""

    def request(self, names: Names, secrets: Mapping[str, str]) -> Request:
        """What is sent."""
        headers = {"Accept": "application/json", **names.headers(self.headers, secrets)}
        if self.basic is not None:
            pair = ":".join(part.open(secrets) for part in self.basic)
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        body: bytes | None = None
        if self.json is not None:
            headers.setdefault("Content-Type", "application/json")
            body = msgspec.json.encode(names.json(self.json, secrets))
        elif self.form is not None:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            fields = {name: names.text(text, secrets) for name, text in self.form.items()}
            body = urlencode({name: value for name, value in fields.items() if value is not None}).encode()
        return Request(self.method, self.url, headers=headers, body=body)

    def read(self, response: Response) -> Opened:
        """What the answer brought; `NeedsOperator` where the system doesn't let us in."""
        words = words_of(response)
        if (failure := self._failure(response, words)) is not None:
            raise failure
        data = self._decoded(response)
        words = None if data is None else words  # what isn't JSON may be what we looked for
        session = {}
        for name, taken in self.take.items():
            if (value := taken.read(response, data)) is None:
                raise self._lacking(response, taken.place, words)
            session[name] = value
        if cookies := cookies_in(response, self.cookies):
            session[COOKIES] = written_cookies(cookies)
        elif not session:
            raise _refused("its answer sets none of the cookies" + (f": {words}" if words else ""))
        return Opened(session, self.lasting.read(data))

    def _failure(self, response: Response, words: str | None) -> HeadraceError | None:
        """By its status, unless the manifest says what such an answer means: a wrong password may come as a 500."""
        usual = failure_of_status(response.status, words)
        if usual is None:
            return None
        meant = (self.meaning(response) if self.meaning is not None else None) or usual
        if isinstance(meant, Transient):
            return meant
        if response.status in {400, 401, 403, 422} or isinstance(usual, Transient):
            said = meant.message.removeprefix(f"The system answered {response.status}")
            return _refused(f"it answers {response.status}{said}")
        return usual

    def _lacking(self, response: Response, place: str, words: str | None) -> HeadraceError:
        """What isn't there may come later: a system that is busy refuses nobody."""
        meant = self.meaning(response) if self.meaning is not None else None
        if isinstance(meant, Transient):
            return meant
        said = words if meant is None else meant.message
        return _refused(f"its answer has no {place}" + (f": {said}" if said else ""))

    def _decoded(self, response: Response) -> Any:
        """A log-in by cookies alone may answer with anything, or nothing."""
        try:
            return msgspec.json.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            if any(taken.header is None for taken in self.take.values()):
                raise Transient("malformed_page", "The answer to the log-in is not JSON.") from None
            return None


def _refused(why: str) -> NeedsOperator:
    return NeedsOperator("auth_refused", f"The system doesn't log us in: {why.rstrip('.')}.", hint=_CHECK)


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except ValueError:
        return None
