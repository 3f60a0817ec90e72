"""Secrets at the door of webhooks, while they are changed and while nobody can say what they are."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from servers.systems.knocking import SECRET, Door, later_at_the_door, signed

from scheduler.webhooks import doors
from worker.errors import Transient
from worker.secrets import Secret, StoreUnavailable

pytestmark = pytest.mark.integration


def test_a_new_secret_counts_at_once_though_the_old_one_is_held(door: Door) -> None:
    name = door.connect()
    assert door.send(name).status_code == 200
    door.rotate(name, "the new one")
    with later_at_the_door(3):
        assert door.send(name, secret="the new one").status_code == 200
        assert door.send(name).status_code == 403, "looked up anew, it is another's"


def test_an_old_secret_that_was_taken_away_counts_no_longer_than_a_minute(door: Door) -> None:
    name = door.connect(secret=f"the new one\n{SECRET}")
    for secret in (SECRET, "the new one"):
        assert door.send(name, secret=secret).status_code == 200
    door.rotate(name, "the new one")
    with later_at_the_door(61):
        assert door.send(name).status_code == 403
        assert door.send(name, secret="the new one").status_code == 200


def test_secrets_are_not_read_at_every_guess(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    open_secret = doors.open_secret

    def counted(reference: str, **more: Any) -> Secret:
        reads.append(reference)
        return open_secret(reference, **more)

    monkeypatch.setattr(doors, "open_secret", counted)
    name = door.connect()
    for _ in range(5):
        assert door.send(name, secret="guessed").status_code == 403
    assert len(reads) == 1
    with later_at_the_door(3):
        for _ in range(5):
            assert door.send(name, secret="guessed").status_code == 403
    assert len(reads) == 2


def test_whoever_guesses_while_a_store_is_away_shuts_nobody_out(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read anew the store gives no answer; what the process holds goes on."""

    def away(reference: str, *, environment: str, fresh: bool = False) -> Secret:
        if fresh:
            raise StoreUnavailable("vault", "it is sealed")
        return Secret(SECRET)

    monkeypatch.setattr(doors, "open_secret", away)
    name = door.connect()
    assert door.send(name).status_code == 200
    with later_at_the_door(3):
        assert door.send(name, secret="guessed").status_code == 403
        assert door.send(name).status_code == 200


def test_one_secret_that_can_not_be_read_does_no_harm_to_another(door: Door) -> None:
    name = door.connect("either")
    door.database.run(
        """UPDATE connections SET secrets = secrets || '{"next": "env://HOOK_NOWHERE"}' WHERE id = %(id)s""",
        {"id": door.ids[name]},
    )
    assert door.send(name).status_code == 200


def test_a_connection_that_was_just_made_is_known_though_its_name_was_asked_for_before(door: Door) -> None:
    assert door.send("soon-there").status_code == 403
    door.connect(name="soon-there")
    with later_at_the_door(3):
        assert door.send("soon-there").status_code == 200


def test_what_is_known_serves_while_postgres_is_away(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    name = door.connect()
    assert door.send(name).status_code == 200

    def away(*_: Any, **__: Any) -> Any:
        raise Transient("database_unavailable", "Postgres at 10.0.0.5, user headrace: it restarts.")

    monkeypatch.setattr(doors, "open_door", away)
    with later_at_the_door(61):
        assert door.send(name).status_code == 200
        answer = door.send("never-asked-for")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "10.0.0.5" not in answer.text, "a stranger is told nothing of our servers"


def test_many_at_once_look_a_connection_up_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    open_door: Callable[..., Any] = doors.open_door

    def counted(database: Any, name: str, **more: Any) -> Any:
        looked.append(name)
        return open_door(database, name, **more)

    monkeypatch.setattr(doors, "open_door", counted)
    name = door.connect()

    async def burst(client: httpx.AsyncClient) -> set[int]:
        sent = (client.post(f"/webhooks/{name}", **signed()) for _ in range(20))
        return {answer.status_code for answer in await asyncio.gather(*sent)}

    assert door.during(burst) == {200}
    assert looked == [name]


@pytest.mark.parametrize("secret", ["another one/", "a%2Fb", "ä ö", "a?b#c"])
def test_a_secret_in_the_path_may_hold_whatever_a_url_can_say(door: Door, secret: str) -> None:
    name = door.connect("pathing", secret=secret)
    assert door.send(name, rest=f"/{quote(secret, safe='')}").status_code == 200
    assert door.send(name, rest=f"/{quote(secret, safe='')}/").status_code == 403
    assert door.send(name, rest=f"/{quote(secret + 'x', safe='')}").status_code == 403


def test_a_handshake_is_answered_at_the_door(door: Door) -> None:
    name = door.connect("pathing")
    answer = door.send(name, method="GET", rest=f"/{SECRET}?validationToken=a%20b%3C")
    assert (answer.status_code, answer.text) == (200, "a b<")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert door.send(name, method="GET", rest=f"/{SECRET}").status_code == 200, "a probe"
    assert door.events(name) == []
