"""A person is planted in everything that is read: fields that may not be kept are found nowhere, and after the erasure nothing is.

The search is that of the planted secrets: every table, Valkey with its messages, every log, Flower left out.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from servers.installation.stack import Stack
from servers.installation.traces import all_stores, leaks
from servers.systems.scripted import Asked, Said, Scripted, scripted_source
from servers.waiting import wait_until

from scheduler.beat.upkeep.retention import prune_tombstones
from scheduler.connections.apply import apply
from worker.parsing.documents import read_document

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SETTINGS = {
    "HEADRACE_LOG_LEVEL": "DEBUG",
    "HEADRACE_MAX_ATTEMPTS": "1",
    "HEADRACE_PRIVACY_KEY": "env://STAFF_PRIVACY_KEY",
    "STAFF_PRIVACY_KEY": "a privacy key of the staff test",
}
KEY = "pl4nted-k3y-4711"
PHONE, MAIL = "+49 pl4nted ph0ne", "pl4nted@m4il.example"
NAME, OLD_NAME, NOTE = "Pl4nted N4me", "Pl4nted 0ld N4me", "a n0te about pl4nted"
UNWANTED = {"the phone": PHONE, "the mail": MAIL}
PERSON = {"the name": NAME, "the name before": OLD_NAME, "the note": NOTE}


def add_systems(folder: Path) -> None:
    manifest = {
        "manifest": 1,
        "system": "staff",
        "title": "A system that knows people",
        "protocol": "rest",
        "base_url": "{base_url}",
        "settings": {"base_url": {"required": True, "description": "Where the test listens."}},
        "defaults": {"records": "data", "key": "id"},
        "streams": {"people": {"path": "/people"}, "broken": {"path": "/broken"}},
    }
    (folder / "staff").mkdir()
    (folder / "staff" / "manifest.yaml").write_text(json.dumps(manifest))


class Staff:
    """What the system says of its people."""

    name = OLD_NAME

    def __call__(self, asked: Asked) -> Said:
        if asked.path.startswith("/broken"):
            return Said(json.dumps({"phone": PHONE, "data": {"email": MAIL}}).encode())
        person = {
            "id": KEY, "name": self.name, "phone": PHONE, "contact": {"email": MAIL}, "notes": [{"text": NOTE}],
        }  # fmt: skip
        without_key = {"name": NAME, "phone": PHONE}
        somebody = {"id": "1", "name": "Somebody else", "manager": {"email": MAIL}}
        unreadable = f'{{"id": 2, "phone": "{PHONE}" "n": 1}}'
        records = ", ".join([*map(json.dumps, (person, without_key, somebody)), unreadable])
        return Said(f'{{"data": [{records}]}}'.encode())


@pytest.fixture
def source() -> Iterator[Scripted]:
    with scripted_source(Staff()) as made:
        yield made


def connect(stack: Stack, base_url: str) -> None:
    connection = {
        "id": "staff",
        "system": "staff",
        "settings": {"base_url": base_url},
        "schedule": {"every": "7d"},
        "keep_versions": "90d",
        "exclude": ["phone"],
        "hash": ["email", "contact.email", "manager.email"],
    }
    text = json.dumps({"version": 1, "connections": [connection]})
    apply(stack.database, stack.registry, read_document(text.encode(), "staff"))


def sync(stack: Stack) -> None:
    """One more run of each stream, to its end."""
    before = stack.one("SELECT now() AS now")["now"]
    stack.all("UPDATE streams SET next_run_at = now() RETURNING id")
    wait_until(
        lambda: (
            stack.one("SELECT count(*) AS n FROM streams WHERE last_finished_at > %(b)s", b=before)["n"] == 2
            and not stack.all("SELECT id FROM runs")
        ),
        40,
        what="the end of the runs",
    )


def headrace(stack: Stack, *words: str) -> str:
    done = stack.command(*words)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def found(stack: Stack, words: Mapping[str, str]) -> list[str]:
    return leaks(words, all_stores(stack, {}))


def test_nothing_of_a_person_is_left_anywhere_and_nothing_comes_back(stack: Stack, source: Scripted) -> None:
    connect(stack, source.base_url)
    sync(stack)
    source.script.name = NAME  # type: ignore[attr-defined]
    sync(stack)
    assert found(stack, UNWANTED) == [], "what is left out or hashed was never anywhere"
    planted = "\n".join(found(stack, PERSON | {"the key": KEY}))
    for table in ("records_", "record_versions", "quarantine"):
        assert f"in table {table}" in planted, planted
    aside = stack.all("SELECT code, raw FROM quarantine ORDER BY code")
    assert {row["code"]: bytes(row["raw"]) for row in aside} == {
        "bad_key": json.dumps({"name": NAME}).encode(),
        "not_json": b"",
    }
    row = stack.one("SELECT raw::text AS raw FROM records WHERE key = '1'")
    mail = stack.one("SELECT raw->'contact'->>'email' AS mail FROM records WHERE key = %(key)s", key=KEY)[
        "mail"
    ]
    assert mail.startswith("hmac:")
    assert mail in row["raw"], "joins still work"

    assert "erased" in headrace(stack, "erase", "staff", "people", KEY, "--yes", "--reason", "as asked")
    sync(stack)
    sync(stack)
    assert found(stack, PERSON | UNWANTED) == []
    left = found(stack, {"the key": KEY})
    assert left
    assert all("in table records_" in line for line in left), left
    gone = stack.one("SELECT delete_reason, raw::text AS raw FROM records WHERE key = %(key)s", key=KEY)
    assert gone == {"delete_reason": "erased", "raw": "{}"}

    stack.all(
        "UPDATE records SET deleted_at = deleted_at - interval '91 days' WHERE deleted_at IS NOT NULL RETURNING key"
    )
    wait_until(
        lambda: prune_tombstones(stack.database, 90) or not found(stack, {"the key": KEY}),
        10,
        what="the tombstone's end",
    )
    sync(stack)
    assert found(stack, PERSON | UNWANTED | {"the key": KEY}) == []
    assert stack.one("SELECT count(*) AS n FROM records WHERE key = '1' AND deleted_at IS NULL")["n"] == 1

    headrace(stack, "erase", "staff", "people", KEY, "--allow")
    sync(stack)
    assert stack.one("SELECT raw->>'name' AS name FROM records WHERE key = %(key)s", key=KEY) == {
        "name": NAME
    }
