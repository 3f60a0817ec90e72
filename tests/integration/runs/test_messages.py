"""The message that wakes a worker: what it looks like, and when it is taken for lost."""

import base64
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
import structlog
from pydantic import SecretStr
from servers.rows.ledger import Ledger

from scheduler.beat.dispatch.pacing import Pacing
from scheduler.beat.dispatch.waking import Waking
from worker.app import KEY_PREFIX, RUN_TASK, celery_app, configure
from worker.config import load_settings
from worker.runs.alive import Alive
from worker.runs.wakeups.lying import MEMORY
from worker.runs.wakeups.publish import lying, publish
from worker.runs.wakeups.ringing import Bell

pytestmark = pytest.mark.integration

QUEUE = "sync.demo"
KEY = KEY_PREFIX + QUEUE


@pytest.fixture
def valkey(database_url: str, broker_url: str) -> redis.Redis:
    settings = load_settings(database_url=SecretStr(database_url), broker_url=SecretStr(broker_url))
    configure(settings, [QUEUE], publisher=True)
    return redis.Redis.from_url(broker_url)


@pytest.fixture
def waiting(ledger: Ledger) -> list[UUID]:
    """Three runs that were published a while ago, in this order; a worker serves their queue."""
    Alive(ledger.database, "worker", queues=[QUEUE], slots=1).note()
    rows = ledger.database.all(
        "WITH made AS (INSERT INTO streams (connection_id, name, bucket, schedule)"
        "  SELECT min(c.id), 's' || n, 1, '{}' FROM connections c, generate_series(1, 3) n GROUP BY n"
        "  RETURNING id, connection_id)"
        " INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id, not_before,"
        "                   created_at, published_at)"
        " SELECT id, connection_id, %(q)s, 'a', 'live', 3, 'schedule', 'r', now() - interval '3 min',"
        "        now() - interval '3 min', now() - interval '2 min' + id * interval '10 s' FROM made"
        " RETURNING id, published_at",
        {"q": QUEUE},
    )
    return [row["id"] for row in sorted(rows, key=lambda row: row["published_at"])]


def lost(ledger: Ledger) -> list[UUID]:
    rows = ledger.database.all("SELECT id FROM runs WHERE published_at IS NULL ORDER BY stream_id")
    return [row["id"] for row in rows]


def shape(message: Any) -> Any:
    """A message with its ids taken out."""
    if isinstance(message, dict):
        return {key: shape(value) for key, value in message.items()}
    if isinstance(message, str) and len(message) == 36 and message.count("-") == 4:
        return "id"
    return message


def read(text: bytes | str) -> tuple[dict[str, Any], Any]:
    message = json.loads(text)
    return message, json.loads(base64.b64decode(message.pop("body")))


def test_a_message_is_what_celery_would_have_sent(valkey: redis.Redis) -> None:
    run = uuid4()
    headers = {"request_id": "api-1"}
    celery_app.send_task(RUN_TASK, args=(str(run),), queue=QUEUE, retry=False, headers=headers)
    (theirs,) = valkey.lrange(KEY, 0, -1)
    valkey.delete(KEY)
    with structlog.contextvars.bound_contextvars(request_id="api-1"):
        assert publish([(run, QUEUE)]) == 1
    (ours,) = valkey.lrange(KEY, 0, -1)
    expected, expected_body = read(theirs)
    found, body = read(ours)
    assert body == expected_body
    expected["properties"]["reply_to"] = ""  # nobody waits for an answer
    assert shape(found) == shape(expected)
    assert found["headers"]["argsrepr"] == expected["headers"]["argsrepr"]
    assert found["headers"]["request_id"] == expected["headers"]["request_id"] == "api-1"
    ids = [found["headers"]["id"], found["headers"]["root_id"], found["properties"]["correlation_id"]]
    assert len(set(ids)) == 1


def test_messages_of_many_runs_differ_and_are_taken_in_order(valkey: redis.Redis) -> None:
    runs = [uuid4() for _ in range(1200)]
    assert publish((run, QUEUE) for run in runs) == 1200
    texts = valkey.lrange(KEY, 0, -1)
    assert [read(text)[1][0][0] for text in reversed(texts)] == [str(run) for run in runs]
    for place in ("id", "root_id"):
        assert len({read(text)[0]["headers"][place] for text in texts}) == 1200
    assert len({read(text)[0]["properties"]["delivery_tag"] for text in texts}) == 1200


def test_who_rings_sends_what_would_be_published_and_one_at_a_time_is_on_the_line(
    valkey: redis.Redis,
) -> None:
    run, bell = uuid4(), Bell()
    assert bell.ring([(run, QUEUE)]) is None, "there is no line yet"
    publish([(run, QUEUE)])
    bell.open()
    rung = bell.ring([(run, QUEUE)])
    assert rung is not None
    assert bell.ring([(uuid4(), QUEUE)]) is None, "nobody has heard of the one before"
    assert bell.heard(rung)
    published, ringing = (read(text) for text in reversed(valkey.lrange(KEY, 0, -1)))
    assert shape(ringing[0]) == shape(published[0])
    assert ringing[1] == published[1]
    again = bell.ring([(uuid4(), QUEUE), (uuid4(), QUEUE)])
    assert again is not None
    assert bell.heard(again)
    assert valkey.llen(KEY) == 4
    assert bell.ring([(run, QUEUE), (run, "sync.other")]) is None, "nobody published there yet"
    bell.close()


def test_a_line_that_broke_is_noticed_and_another_is_opened(valkey: redis.Redis) -> None:
    bell = Bell()
    publish([(uuid4(), QUEUE)])
    bell.open()
    valkey.client_kill_filter(_type="normal", skipme=True)
    rung = bell.ring([(uuid4(), QUEUE)])
    assert rung is None or not bell.heard(rung)
    assert bell.ring([(uuid4(), QUEUE)]) is None
    publish([(uuid4(), QUEUE)])
    bell.open()
    rung = bell.ring([(uuid4(), QUEUE)])
    assert rung is not None
    assert bell.heard(rung)
    bell.close()


def test_the_message_that_is_next_in_line_names_its_run(valkey: redis.Redis) -> None:
    first, second = uuid4(), uuid4()
    publish([(first, QUEUE), (second, QUEUE)])
    found = lying([QUEUE, "sync.other"])
    assert found is not None
    assert found.heads == {QUEUE: first, "sync.other": None}
    valkey.rpush(KEY, b"somebody else's")
    again = lying([QUEUE])
    assert again is not None
    assert again.heads == {}
    assert again.memory == found.memory


def test_what_lies_in_its_queue_is_never_sent_again_however_long_that_takes(
    ledger: Ledger, waiting: list[UUID], valkey: redis.Redis
) -> None:
    publish((run, QUEUE) for run in waiting)
    waking = Waking(Pacing())
    assert waking.notice_lost(ledger.database) == 0
    assert waking.wake(ledger.database) == 0
    assert valkey.llen(KEY) == 3


def test_a_message_that_others_have_overtaken_is_sent_again(
    ledger: Ledger, waiting: list[UUID], valkey: redis.Redis
) -> None:
    """The queue is never empty, and still it is seen that the first two are gone."""
    publish([(waiting[2], QUEUE)])
    waking = Waking(Pacing())
    assert waking.notice_lost(ledger.database) == 2
    assert lost(ledger) == waiting[:2]
    assert waking.wake(ledger.database) == 2
    assert valkey.llen(KEY) == 3
    assert waking.notice_lost(ledger.database) == 0


def test_messages_to_an_empty_queue_are_sent_again(
    ledger: Ledger, waiting: list[UUID], valkey: redis.Redis
) -> None:
    waking = Waking(Pacing())
    assert waking.notice_lost(ledger.database) == 3
    assert waking.wake(ledger.database) == 3
    assert valkey.llen(KEY) == 3


@pytest.mark.usefixtures("valkey")
def test_a_run_that_somebody_took_and_keeps_is_sent_for_less_and_less_often(
    ledger: Ledger, waiting: list[UUID]
) -> None:
    """It had waited for 20 s when it was sent: that was 8 s ago, and is left alone for 10."""
    ledger.database.run(
        "UPDATE runs SET created_at = now() - interval '28 s', not_before = now() - interval '28 s',"
        " published_at = now() - interval '8 s'"
    )
    waking = Waking(Pacing())
    assert waking.notice_lost(ledger.database) == 0
    ledger.database.run("UPDATE runs SET published_at = published_at - interval '3 s'")
    ledger.database.run("UPDATE runs SET not_before = not_before - interval '3 s'")
    assert waking.notice_lost(ledger.database) == len(waiting)


@pytest.mark.usefixtures("waiting")
def test_a_valkey_that_lost_its_memory_is_noticed_and_all_is_sent_again(
    ledger: Ledger, valkey: redis.Redis
) -> None:
    ledger.database.run("UPDATE runs SET published_at = now() - interval '3 s'")  # patience would be 30 s
    waking = Waking(Pacing())
    assert waking.notice_lost(ledger.database) == 0
    valkey.flushall()
    assert waking.notice_lost(ledger.database) == 3
    assert waking.wake(ledger.database) == 3
    assert valkey.get(KEY_PREFIX + MEMORY)
    assert valkey.llen(KEY) == 3


@pytest.mark.usefixtures("waiting")
def test_a_broker_that_cannot_say_changes_nothing(
    ledger: Ledger, valkey: redis.Redis, database_url: str
) -> None:
    settings = load_settings(
        database_url=SecretStr(database_url), broker_url=SecretStr("redis://127.0.0.1:1/0")
    )
    configure(settings, [QUEUE], publisher=True)
    assert Waking(Pacing()).notice_lost(ledger.database) == 0
    assert valkey.llen(KEY) == 0
