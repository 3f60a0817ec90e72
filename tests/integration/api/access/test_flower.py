"""What of Flower can be reached behind the login: pages that look, and nothing else, by whatever way it is written."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from servers.rows.customers import Customers

from scheduler.access.principal import Scope
from scheduler.api.app import create_app
from worker.config import get_settings

pytestmark = pytest.mark.integration

PASSWORD = "password-of-flower-itself"
NOT_THERE = [
    "/flower/worker/..", "/flower/task/.", "/flower/api/task/info/..",
    "/metrics", "//metrics", "/flower/metrics", "/flower//metrics", "//flower/metrics", "/flower/metrics/", "/flower/./metrics",
    "/flower/../metrics", "/flower/%2e%2e/metrics", "/flower/..%2fmetrics", "/flower/%2fmetrics", "/flower/%252e%252e/metrics",
    "/flower/workers/../metrics", "/flower/worker/%2e%2e/metrics", "/flower/worker/..%2f..%2fmetrics", "/flower/static/../metrics",
    "/flower/static/%2e%2e/%2e%2e/metrics", "/flower/metrics%00", "/flower/metrics%0d%0aX: y", "/flower/;/metrics", "/flower/\\metrics",
    "/FLOWER/metrics", "/flower/Metrics", "/flower/http://127.0.0.1/metrics", "/flower/healthcheck", "/flower/login",
    "/flower/logout", "/flower/api/task/apply/headrace.run", "/flower/api/task/result/x", "/flower/api/worker/shutdown/w",
    "/flower/api/worker/pool/grow/w", "/flower/api/task/revoke/x", "/flower/api/task/events/task-succeeded/", "/flower/docs",
]  # fmt: skip
CHANGES = [
    "/flower/api/worker/shutdown/w", "/flower/api/worker/pool/restart/w", "/flower/api/task/revoke/x", "/flower/api/task/apply/x",
    "/flower/api/task/timeout/x", "/flower/api/worker/queue/add-consumer/w", "/flower/workers", "/flower/", "/flower/metrics",
    "/flower/tasks/datatable/../../metrics", "/flower/tasks/datatable/",
]  # fmt: skip


class Upstream:
    """In Flower's place: it remembers what it was asked for, and answers it all."""

    def __init__(self) -> None:
        asked = self.asked = []  # type: list[tuple[str, dict[str, str]]]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((f"{self.command} {self.path}", dict(self.headers)))
                self.send_response(200)
                self.send_header("Set-Cookie", "user=flower")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    there = Upstream()
    yield there
    there.server.shutdown()
    there.server.server_close()


@pytest.fixture(scope="module")
def app(customers: Customers) -> Any:
    return create_app(customers.database)


@pytest.fixture(autouse=True)
def _behind_the_login(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "flower-password").write_text(PASSWORD)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_FLOWER_PORT", str(upstream.server.server_port))
    get_settings.cache_clear()
    upstream.asked.clear()
    yield
    get_settings.cache_clear()


def ask(
    app: Any, token: str, method: str, target: str, body: bytes = b"", kind: str = "http"
) -> list[dict[str, Any]]:
    """As a server hands it on: with dots and slashes where they were. What came back."""
    path, _, query = target.partition("?")
    scope = {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "root_path": "",
        "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "client": ("192.0.2.1", 1),
        "server": ("api", 80),
        "headers": [(b"host", b"api"), (b"authorization", f"Bearer {token}".encode()), (b"cookie", b"mine=1"),
                    (b"content-length", str(len(body)).encode())],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_does_not_look_is_not_there_however_it_is_written(
    app: Any, customers: Customers, upstream: Upstream, method: str
) -> None:
    token = customers.token()
    answers = {path: ask(app, token, method, path)[0]["status"] for path in NOT_THERE}
    assert {path: status for path, status in answers.items() if status != 404} == {}
    assert upstream.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"])
def test_nothing_that_changes_anything_gets_through(
    app: Any, customers: Customers, upstream: Upstream, method: str
) -> None:
    token = customers.token()
    answers = {path: ask(app, token, method, path, b"x=1")[0]["status"] for path in CHANGES}
    assert {path: status for path, status in answers.items() if status not in {404, 405}} == {}
    assert upstream.asked == []


@pytest.mark.parametrize(
    "path", ["/flower/api/task/events/task-succeeded/", "/flower/", "/flower/dashboard", "/v1/runs"]
)
def test_no_websocket_is_opened(app: Any, customers: Customers, upstream: Upstream, path: str) -> None:
    sent = ask(app, customers.token(), "GET", path, kind="websocket")
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert upstream.asked == []


def test_what_looks_is_passed_on_without_anything_of_who_asks(
    app: Any, customers: Customers, upstream: Upstream
) -> None:
    token = customers.token()
    for path in (
        "/flower/",
        "/flower/workers?refresh=1",
        "/flower/worker/celery@w",
        "/flower/broker",
    ):
        begun, *_ = ask(app, token, "GET", path)
        assert begun["status"] == 200, path
        assert b"set-cookie" not in dict(begun["headers"])
    assert [what for what, _ in upstream.asked] == [
        "GET /flower/", "GET /flower/workers?refresh=1", "GET /flower/worker/celery@w", "GET /flower/broker",
    ]  # fmt: skip
    for _, headers in upstream.asked:
        assert not {"Cookie", "X-Forwarded-For"} & set(headers)
        assert token not in str(headers)


@pytest.mark.parametrize(
    "form", [b"draw=1", b"x=\x00", b"\r\nX: y", b"?/../../metrics", b"#/metrics", b"\xff", b"x" * 60_000]
)
def test_the_form_of_the_list_of_tasks_leads_nowhere_else(
    app: Any, customers: Customers, upstream: Upstream, form: bytes
) -> None:
    begun, *_ = ask(app, customers.token(), "POST", "/flower/tasks/datatable", form)
    assert begun["status"] in {200, 404}
    for what, headers in upstream.asked:
        assert what.partition("?")[0] == "GET /flower/tasks/datatable"
        assert "X" not in headers


@pytest.mark.parametrize(
    "limits",
    [
        {"environment": "test"},
        {"tenants": ["acme"]},
        {"connections": ["acme"]},
        {"scopes": ("read", "sync", "write")},
    ],
)
def test_a_token_for_a_part_sees_none_of_it(
    app: Any, customers: Customers, upstream: Upstream, limits: Any
) -> None:
    if "scopes" in limits:
        limits = {"scopes": [*map(Scope, limits["scopes"])]}
    for path in ("/flower/", "/flower/static/css/flower.css", "/flower/api/workers"):
        assert ask(app, customers.token(**limits), "GET", path)[0]["status"] == 403
    assert upstream.asked == []
