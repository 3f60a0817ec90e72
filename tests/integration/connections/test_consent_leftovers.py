"""What was typed in is taken out of its store again, also where the process that wrote it there was killed."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb
from servers.waiting import wait_until

from scheduler.api.app import create_app
from scheduler.connections.consent import typed as typing_in
from scheduler.connections.consent.typed import Typed, clear_left, of_link, queries
from worker.db.database import Database
from worker.errors import Transient

pytestmark = pytest.mark.integration

LINK = {"connection_id": None, "environment": "live", "name": "Plant"}
VALUES = {"token": "planted-typed-token", "user": "planted-typed-user"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "typed").mkdir()
    return tmp_path / "typed"


def killed(database: Database, store: Path, values: Mapping[str, str] = VALUES) -> Typed:
    """A process wrote values, and was no more."""
    left = Typed(database)
    left.put(f"file://{store}/", "Plant", values)
    return left


def later(database: Database) -> int:
    """All that may expire has, and somebody clears up."""
    database.run("UPDATE oauth_states SET expires_at = now() - interval '1 second'")
    return clear_left(database)


def notes(database: Database) -> int:
    return len(database.all("SELECT 1 FROM oauth_states"))


def test_what_a_killed_process_left_is_found_and_taken_away_an_hour_later(
    database: Database, store: Path
) -> None:
    killed(database, store)
    assert (clear_left(database), len([*store.iterdir()])) == (0, 2)  # it may be at work
    assert later(database) == 1
    assert ([*store.iterdir()], notes(database)) == ([], 0)


def test_the_api_clears_up_by_itself(database: Database, store: Path) -> None:
    killed(database, store)
    database.run("UPDATE oauth_states SET expires_at = now() - interval '1 second'")
    app = create_app(database)

    async def lived() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.to_thread(wait_until, lambda: notes(database) == 0)

    asyncio.run(lived())
    assert [*store.iterdir()] == []


def test_the_note_is_there_before_anything_is_written(
    database: Database, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    monkeypatch.setattr(typing_in, "write_secret", lambda *_: found.append(notes(database)))
    killed(database, store)
    assert found == [1, 1]


def test_what_a_connection_uses_stays(database: Database, store: Path) -> None:
    """The process was killed between its commit and the end of its note."""
    references = killed(database, store).references
    database.run(
        "INSERT INTO connections (name, system, secrets) VALUES ('Plant', 'demo', %(secrets)s)",
        {"secrets": Jsonb({"token": references["token"]})},
    )
    assert later(database) == 1
    assert [path.read_text() for path in store.iterdir()] == [VALUES["token"]]
    assert notes(database) == 0


@pytest.mark.parametrize("kept", [True, False])
def test_who_comes_to_an_end_leaves_no_note(database: Database, store: Path, kept: bool) -> None:
    with of_link(database, LINK) as put:
        put.put(f"file://{store}/", "Plant", VALUES)
        if kept:
            put.keep()
    assert len([*store.iterdir()]) == (2 if kept else 0)
    assert notes(database) == 0


def test_what_a_store_does_not_let_go_of_is_tried_again_for_a_week(
    database: Database, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_reference: str) -> None:
        raise Transient("secret_store_unavailable", "It is away.")

    monkeypatch.setattr(typing_in, "remove_secret", away)
    with of_link(database, LINK) as put:
        put.put(f"file://{store}/", "Plant", VALUES)
    assert (later(database), notes(database)) == (0, 1)
    assert clear_left(database) == 0  # not at once
    database.run("UPDATE oauth_states SET created_at = now() - interval '8 days'")
    assert (later(database), notes(database)) == (1, 0)


def test_a_browser_that_comes_back_takes_its_state_and_leaves_a_note_of_what_it_typed(
    database: Database, store: Path
) -> None:
    references = killed(database, store, {"token": "planted-typed-token"}).references
    link = database.one(
        "INSERT INTO connect_links (digest, environment, system, name, store, expires_at)"
        " VALUES ('\\x00', 'live', 'demo', 'Plant', 'file:///x/', now() + interval '1h') RETURNING id"
    )
    assert link is not None
    database.run("DELETE FROM oauth_states")
    asked = {"digest": b"state", "link": link["id"]}
    started = {"settings": {"port": 9}, "references": references}
    database.run(queries.keep_state, {**asked, "started": Jsonb(started)})
    assert database.one(queries.take_state, {**asked, "note": b"note"}) == {"started": started}
    assert database.one(queries.take_state, {**asked, "note": b"other"}) is None
    assert later(database) == 1  # it was killed before it came to an end
    assert ([*store.iterdir()], notes(database)) == ([], 0)
