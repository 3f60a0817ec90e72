"""The demo system's webhooks: of what is shown, signed as the specification says, and no burden to the system itself."""

import base64
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from scheduler.embedded.demo.hooks.message import BadSecret, Message, key_of
from scheduler.embedded.demo.hooks.sender import Sender

from .conftest import Demo  # type: ignore[import-not-found]

OLD, NEW = (f"whsec_{base64.b64encode(letter * 32).decode()}" for letter in (b"a", b"b"))
PATIENCE = 10.0


class Listener:
    """Takes webhooks; answers 200, unless told otherwise for the next ones."""

    def __init__(self) -> None:
        taken: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        answers: list[int] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = answers.pop(0) if answers else 200
                if status == 200:
                    taken.put(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.taken, self.answers = taken, answers
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/plant"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self) -> tuple[dict[str, str], dict[str, Any]]:
        headers, body = self.taken.get(timeout=PATIENCE)
        return headers, json.loads(body)

    def told(self, many: int) -> list[tuple[str, Any]]:
        """Types and ids of the next ones."""
        found = [self.next()[1] for _ in range(many)]
        return [(each["type"], each["data"]["id"]) for each in found]


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def demo(listener: Listener) -> Demo:
    return Demo(webhook_url=listener.url, webhook_secrets=(OLD, NEW))


def change(demo: Demo, number: int) -> str:
    record = demo.truth("parts")[number]
    demo.now += 1000
    demo.control("POST", "change", {"entity": "parts", "id": record["id"], "fields": {"name": "other"}})
    return str(record["id"])


def test_a_change_is_told_of_and_signed_with_each_secret(demo: Demo, listener: Listener) -> None:
    key = change(demo, 0)
    headers, body = listener.taken.get(timeout=PATIENCE)
    assert json.loads(body)["data"] == {"id": key}
    for secret in (OLD, NEW):
        Webhook(secret).verify(body.decode(), headers)


def test_it_tells_what_became_of_records(demo: Demo, listener: Listener) -> None:
    made = demo.control("POST", "create", {"entity": "work_orders", "fields": {}})["id"]
    other = change(demo, 1)
    for how in ("delete", "restore", "purge"):
        demo.now += 1000
        demo.control("POST", how, {"entity": "parts", "id": other})
    assert listener.told(5) == [
        ("work_order.created", made),
        ("part.updated", other),
        ("part.deleted", other),
        ("part.updated", other),
        ("part.deleted", other),
    ]


def test_a_late_commit_is_told_of_when_it_shows(demo: Demo, listener: Listener) -> None:
    demo.control("POST", "faults", {"late_commit_seconds": 30, "count": 1})
    late = change(demo, 0)
    soon = change(demo, 1)
    demo.now += 60_000
    demo.control("GET", "life")
    assert [key for _, key in listener.told(2)] == [soon, late]


def test_faults_lose_double_and_delay_webhooks(demo: Demo, listener: Listener) -> None:
    demo.control("POST", "faults", {"webhook_lost": 1.0, "count": 1})
    change(demo, 0)
    demo.control("POST", "faults", {"webhook_twice": 1.0, "count": 1})
    twice = change(demo, 1)
    (first, _), (second, _) = listener.next(), listener.next()
    assert first["webhook-id"] == second["webhook-id"]
    demo.control("POST", "faults", {"webhook_late": 1.0, "count": 1})
    late, soon = change(demo, 2), change(demo, 3)
    assert [key for _, key in listener.told(2)] == [soon, late]
    assert twice not in {late, soon}
    assert demo.control("GET", "stats")["webhooks"]["lost"] == 1


def test_what_is_refused_is_tried_again(listener: Listener) -> None:
    listener.answers += [503, 403]
    sender = Sender(listener.url, [key_of(OLD)], waits=(0.0, 0.0))
    sender.put(Message("msg_1", b'{"data": {"id": 1}, "type": "part.updated"}'))
    assert listener.told(1) == [("part.updated", 1)]
    sender.close()
    assert sender.counts == {"sent": 1}


def test_what_nobody_takes_is_dropped_and_said(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    listener.answers += [500, 500]
    sender = Sender(listener.url, [key_of(OLD)], waits=(0.0,))
    for name in ("msg_1", "msg_2"):
        sender.put(Message(name, b'{"data": {"id": "%s"}, "type": "part.updated"}' % name.encode()))
    assert listener.told(1) == [("part.updated", "msg_2")]
    sender.close()
    assert sender.counts == {"dropped": 1, "sent": 1}
    assert "it was answered 500" in caplog.text


def test_a_system_that_nobody_listens_to_goes_on_and_keeps_no_more_than_there_is_room_for() -> None:
    sender = Sender("http://127.0.0.1:1/", [key_of(OLD)], room=3, waits=(60.0,))
    for number in range(10):
        sender.put(Message(str(number), b"{}"))
    assert sender.counts["dropped"] >= 6
    sender.close()


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!", "aGVsbG8="])
def test_a_secret_that_signs_nothing_is_refused(secret: str) -> None:
    with pytest.raises(BadSecret):
        key_of(secret)
