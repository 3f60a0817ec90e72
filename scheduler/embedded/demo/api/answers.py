"""How are answers written, the good ones and the broken ones?"""

import json
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from scheduler.embedded.demo.api.listing import Answer

HTML_ERROR = """<!DOCTYPE html>
<html><head><title>{status} Error</title></head>
<body><center><h1>{status} Error</h1></center><hr><center>nginx</center></body></html>
"""


def body(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")


def as_json(value: Any, status: int = 200) -> Response:
    return body(json.dumps(value, ensure_ascii=False).encode(), status)


def refused(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    response = as_json({"error": {"code": code, "message": message}}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="demo"'
    response.headers.update(headers or {})
    return response


def failed(status: int, form: str) -> Response:
    """An error that the system has by itself; as HTML it looks like one of a proxy before it."""
    if form == "html":
        return Response(HTML_ERROR.format(status=status), status, media_type="text/html")
    return refused(status, "internal_error", "Something went wrong on our side.")


def emptied(answer: Answer) -> Answer:
    """The lie that deletes copies: a good status, and nothing in it."""
    more = {**answer.more, "total": 0}
    if "next_cursor" in more:
        more["next_cursor"] = None
    return Answer([], more)


def cut_short(answer: Answer) -> Answer:
    """It says that nothing follows. How many there are in all is told truly."""
    more = {**answer.more, "next_cursor": None} if "next_cursor" in answer.more else answer.more
    return Answer(answer.rows, more)


def with_mangled_field(answer: Answer, name: str) -> Answer:
    """Half of a text is lost, other values are lost whole. The stamps stay, so no reader by time will look again."""

    def mangled(raw: bytes) -> bytes:
        record: Any = json.loads(raw)
        if name in record:
            value = record[name]
            record[name] = (
                value[: len(value) // 2] + "\N{REPLACEMENT CHARACTER}" if isinstance(value, str) else None
            )
        return json.dumps(record, ensure_ascii=False).encode()

    return Answer([mangled(raw) for raw in answer.rows], answer.more, answer.next_cursor)


def dated(response: Response, seconds: float) -> Response:
    """With the time of the system's own clock, as the header has it."""
    response.headers["Date"] = formatdate(seconds, usegmt=True)
    return response


def with_bad_record(answer: Answer, how: str) -> Answer:
    """Spoil the record in the middle of the page. The others stay as they are."""
    middle = len(answer.rows) // 2
    record: Any = json.loads(answer.rows[middle])
    if how == "missing_id":
        del record["id"]
    elif how == "wrong_type":
        record["updated_at"] = ["not", "a", "time"]
    else:
        record = f"record {record['id']}"
    raw = json.dumps(record, ensure_ascii=False).encode()
    rows = [*answer.rows[:middle], raw, *answer.rows[middle + 1 :]]
    return Answer(rows, answer.more, answer.next_cursor)


def malformed(response: Response) -> Response:
    """Half of the body, with a length that says that this is all."""
    half = bytes(response.body)[: len(response.body) // 2]
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(half, response.status_code, headers)


class Truncated(Response):
    """Promises the whole body, sends half of it and ends: the server then closes the connection."""

    def __init__(self, whole: Response) -> None:
        super().__init__(whole.body, whole.status_code, dict(whole.headers))

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
