"""Whoever isn't let in at the door of webhooks learns nothing there, whatever they know or guess."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from servers.systems.knocking import SECRET, Door, in_pieces, later_at_the_door, signed
from servers.waiting import wait_until

from scheduler.api.around import bodies
from scheduler.api.around.bodies import MAX_BODY
from scheduler.api.routes.webhooks import receive
from scheduler.webhooks import doors
from scheduler.webhooks.refusals import Sparing

pytestmark = pytest.mark.integration

NOISE = {"x-response-time", "server-timing"}
"""Of an answer, what no two have in common."""
ASKED = {"X-Request-ID": "the-same-for-all"}


def shown(answer: httpx.Response) -> tuple[Any, ...]:
    """All that a stranger sees of an answer."""
    headers = sorted((k, v) for k, v in answer.headers.multi_items() if k not in NOISE)
    return answer.status_code, answer.content, headers


def unknown(door: Door) -> httpx.Response:
    return door.send(f"nobody-{uuid4().hex}", headers=ASKED)


def deleted(door: Door) -> httpx.Response:
    name = door.connect()
    assert door.send(name).status_code == 200
    door.database.run("DELETE FROM connections WHERE id = %(id)s", {"id": door.ids[name]})
    return sent_later(door, name)


def disconnected(door: Door) -> httpx.Response:
    name = door.connect()
    assert door.send(name).status_code == 200
    door.database.run(
        "UPDATE connections SET disconnected_at = now(), paused_at = now(), secrets = '{}' WHERE id = %(id)s",
        {"id": door.ids[name]},
    )
    return sent_later(door, name)


def revoked(door: Door) -> httpx.Response:
    name = door.connect(secret=f"the new one\n{SECRET}")
    assert door.send(name).status_code == 200
    door.rotate(name, "the new one")
    return sent_later(door, name)


def sent_later(door: Door, name: str) -> httpx.Response:
    """When what is known of the connection must be looked up anew."""
    with later_at_the_door(61):
        return door.send(name, headers=ASKED)


STRANGERS: dict[str, Callable[[Door], httpx.Response]] = {
    "a number that nobody has": lambda door: door.send("999999999", headers=ASKED),
    "no name": lambda door: door.send("", headers=ASKED),
    "a name that can't be": lambda door: door.send("%00%ff%2F..%2F'", headers=ASKED),
    "a name without an end": lambda door: door.send("x" * 5000, headers=ASKED),
    "a deleted connection": deleted,
    "a disconnected connection": disconnected,
    "a revoked secret": revoked,
    "another secret": lambda door: door.send(door.connect(), secret="guessed", headers=ASKED),
    "another's secret": lambda door: door.send(door.connect(secret="its own"), headers=ASKED),
    "no signature": lambda door: door.send(door.connect(), headers={"X-Signature": "", **ASKED}),
    "a paused connection": lambda door: door.send(
        door.connect(paused_at="2026-01-01"), secret="guessed", headers=ASKED
    ),
    "a connection without secrets": lambda door: door.send(door.connect(secret=None), headers=ASKED),
    "an empty secret": lambda door: door.send(door.connect(secret="\n"), secret="", headers=ASKED),
    "a system that is gone": lambda door: door.send(door.connect("forgotten"), headers=ASKED),
    "a system without webhooks": lambda door: door.send(door.connect("silent"), headers=ASKED),
    "proved, and no JSON": lambda door: door.send(door.connect(), b"{", headers=ASKED),
    "proved, and compressed": lambda door: door.send(
        door.connect(), b"\x1f\x8b\x08", headers={"Content-Encoding": "gzip", **ASKED}
    ),
    "proved, and no key": lambda door: door.send(door.connect(), {"id": {"a": 1}}, headers=ASKED),
    "a GET where nobody asks so": lambda door: door.send(door.connect(), method="GET", headers=ASKED),
    "no secret in the path": lambda door: door.send(door.connect("pathing"), headers=ASKED),
    "another secret in the path": lambda door: door.send(
        door.connect("pathing"), rest="/guessed", headers=ASKED
    ),
    "a handshake without the path": lambda door: door.send(
        door.connect("pathing"), method="GET", rest="?validationToken=x", headers=ASKED
    ),
    "another secret in the body": lambda door: door.send(
        door.connect("fielding"), {"state": "guessed"}, headers=ASKED
    ),
    "another secret in a header": lambda door: door.send(
        door.connect("heading"), headers={"X-Token": "guessed", **ASKED}
    ),
}


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sparing, "may_keep", lambda *_: True)


@pytest.mark.parametrize("who", STRANGERS)
def test_every_stranger_is_answered_alike(door: Door, who: str) -> None:
    answer = STRANGERS[who](door)
    assert answer.status_code == 403
    assert shown(answer) == shown(unknown(door))
    assert json.loads(answer.content)["code"] == "webhook_refused"


@pytest.mark.parametrize("length", ["announced", "unsaid"])
def test_too_large_a_body_is_answered_alike_whoever_sends_it(door: Door, length: str) -> None:
    content = b" " * (MAX_BODY + 1)
    answers = [
        door.api.ask(
            "POST",
            f"/webhooks/{name}",
            content=content if length == "announced" else in_pieces(content),
            headers=ASKED,
        )
        for name in (door.connect(), "nobody")
    ]
    assert {answer.status_code for answer in answers} == {413}
    assert shown(answers[0]) == shown(answers[1])


def test_a_body_that_never_ends_holds_no_place(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "WITHIN", 0.01)

    async def drips() -> Any:
        yield b"{"
        await asyncio.sleep(60)

    answers = [
        door.api.ask("POST", f"/webhooks/{name}", content=drips(), headers=ASKED)
        for name in (door.connect(), "nobody")
    ]
    assert [answer.json()["code"] for answer in answers] == ["request_timeout"] * 2
    assert answers[0].headers["connection"] == "close"
    assert shown(answers[0]) == shown(answers[1])


@pytest.mark.parametrize("method", ["HEAD", "PUT", "OPTIONS"])
def test_other_methods_are_answered_alike(door: Door, method: str) -> None:
    answers = [
        door.api.ask(method, f"/webhooks/{name}", headers=ASKED) for name in (door.connect(), "nobody")
    ]
    assert shown(answers[0]) == shown(answers[1])
    assert answers[0].status_code == (200 if method == "HEAD" else 405)


def test_a_body_without_a_length_is_taken_like_any_other(door: Door) -> None:
    name = door.connect()
    asked = signed({"id": "P-1", "more": "x" * 200_000})
    answer = door.api.ask(
        "POST", f"/webhooks/{name}", headers=asked["headers"], content=in_pieces(asked["content"])
    )
    assert answer.json() == {"events": 1, "new": 1}


def test_a_name_is_looked_up_as_often_whether_somebody_has_it_or_not(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same work is the same time. And whatever time is left until a refusal is answered is slept."""
    looked: list[str] = []
    slept: list[float] = []
    open_door, sleep = doors.open_door, asyncio.sleep

    def counted(database: Any, name: str, *, fresh: bool = False) -> Any:
        looked.append(f"{name} {fresh}")
        return open_door(database, name, fresh=fresh)

    async def noted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    known, nobody = door.connect(), "nobody-else"

    async def asked(client: httpx.AsyncClient) -> list[list[str]]:
        each = []
        for name in (known, nobody):
            for passed in (0, 1, 3, 10, 100):
                with later_at_the_door(passed):
                    answer = await client.post(f"/webhooks/{name}", **signed(secret="guessed"))
                assert answer.status_code == 403
            each.append([entry.replace(name, "") for entry in looked])
            looked.clear()
        return each

    monkeypatch.setattr(doors, "open_door", counted)
    monkeypatch.setattr(receive.asyncio, "sleep", noted)
    first, second = door.during(asked)
    assert first == second
    assert first, "they were looked up"
    assert len(slept) == 10
    assert all(0 <= seconds <= receive.REFUSAL_TIME for seconds in slept)


def test_what_is_not_taken_is_counted_and_kept_without_its_secrets(door: Door) -> None:
    planted = "pl4nted-s3cret"
    heard = {
        "Authorization": f"Bearer {planted}", "X-Token": planted, "X-Signature": planted, "Cookie": planted,
        "Referer": f"http://x/?{planted}", "Content-Type": "application/json", "User-Agent": "Sender/1.0",
    }  # fmt: skip
    names = [door.connect(system) for system in ("telling", "pathing", "fielding", "heading")]
    for name in names:
        door.send(name, {"state": planted}, headers=heard, rest=f"/{planted}?token={planted}")
    rows = [door.refusals(name) for name in names]
    assert [[row["reason"] for row in each] for each in rows] == [["bad_signature"], *[["bad_token"]] * 3]
    written = json.dumps(rows, default=str)
    assert planted not in written
    assert SECRET not in written
    for each in rows:
        (row,) = each
        assert row["headers"]["content-type"] == "application/json"
        assert row["headers"]["user-agent"] == "Sender/1.0"
        assert row["headers"]["authorization"] == "…"
        assert row["body"] is None
    numbers = [door.ids[name] for name in names]

    def counted() -> bool:
        rows = door.database.all(
            "SELECT connection_id, refused FROM webhook_counts WHERE connection_id = ANY (%(ids)s)",
            {"ids": numbers},
        )
        return {row["connection_id"]: row["refused"] for row in rows} == dict.fromkeys(numbers, 1)

    wait_until(counted, 20, what="four refusals to be counted")
    nobody = door.database.one("SELECT sum(refused) AS n FROM webhook_counts WHERE connection_id = 0")
    assert nobody
    assert nobody["n"] > 0, "those for a name that nobody has, too"


def test_the_log_says_no_secret_of_a_path(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.send(door.connect("pathing"), rest="/pl4nted-s3cret")
    said = capsys.readouterr()
    assert "webhook_refused" in said.out + said.err
    assert "pl4nted" not in said.out + said.err
