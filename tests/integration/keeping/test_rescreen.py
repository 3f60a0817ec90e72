"""Rules for fields that change hold for what is stored already, and nothing is asked of the system for it."""

import json
from importlib import import_module
from typing import Any

import pytest
from servers.installation.traces import leaks, whole_database
from servers.rows.ledger import LEASE, NEXT, Ledger, record

from scheduler.keeping.erasure.rescreen import rescreen
from worker.config import Settings
from worker.connectors.contract import Page, Record, Rejected
from worker.connectors.registry import Registry
from worker.engine.keep.digests import privacy_key
from worker.engine.keep.versions import Versions
from worker.engine.loading.load import Loader, Observed
from worker.errors import LostLease, Transient
from worker.runs.claim import Run

pytestmark = pytest.mark.integration

REGISTRY = Registry.load()
PHONE = "+49 st0red ph0ne"


def load(ledger: Ledger, run: Run, *records: Record, **more: Any) -> None:
    loader = Loader(ledger.database, run, lease=LEASE, extras=[Versions()])
    loader.load_pages([Observed(Page(list(records), **more), run.now())], NEXT)


def rule(ledger: Ledger, **options: Any) -> None:
    ledger.database.run(
        "UPDATE streams SET options = %(o)s WHERE id = %(s)s", {"o": json.dumps(options), "s": ledger.stream}
    )
    ledger.database.run('UPDATE connections SET settings = \'{"base_url": "http://x"}\'')


def screen_all(ledger: Ledger, settings: Settings) -> int:
    return rescreen(ledger.database, REGISTRY, settings, seconds=60.0)


def person(n: int, version: int = 1) -> Record:
    found = record(f"k{n}", json.dumps({"id": n, "phone": PHONE, "v": version}), version=version)
    found.exact = found.raw
    return found


def in_tables(ledger: Ledger) -> list[str]:
    with ledger.database.connection() as connection:
        return leaks({"phone": PHONE}, {f"table {n}": content for n, content in whole_database(connection)})


def test_a_field_that_is_excluded_later_leaves_everything_that_is_stored(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.keeping.erasure.rescreen.BATCH", 3)
    run = ledger.claimed()
    bad = [
        Rejected(b'{"phone": "%s"}' % PHONE.encode(), "bad_key", "No key.", None),
        Rejected(PHONE.encode(), "not_json", "", None),
        *(Rejected(b'{"n": %d, "phone": "%s"}' % (n, PHONE.encode()), "bad_key", "", None) for n in range(5)),
    ]
    load(ledger, run, *map(person, range(7)), rejected=bad)
    for version in range(2, 9):  # more states of one record than a batch holds
        load(ledger, run, *(person(n, version) for n in range(4)))
    assert len(in_tables(ledger)) >= 3
    before = ledger.rows()
    rule(ledger, exclude=[["phone"]])
    assert screen_all(ledger, settings) == 1
    assert in_tables(ledger) == []
    after = ledger.rows()
    assert after["k0"]["text"] == '{"id": 0, "v": 8}'
    digest = (
        REGISTRY.get("demo").bind({"base_url": "http://x"}).stream("work_orders").digest(b'{"id": 0, "v": 8}')
    )
    assert after["k0"]["content_hash"].bytes == digest, (
        "or the next look at it would be a change, and a comparison drift"
    )
    assert int(after["k0"]["xid"]) > int(before["k0"]["xid"])
    assert screen_all(ledger, settings) == 0


def test_a_record_that_is_gone_stays_gone(ledger: Ledger, settings: Settings) -> None:
    run = ledger.claimed()
    load(ledger, run, person(1))
    ledger.database.run(
        "UPDATE records SET deleted_at = now(), change_kind = 'deleted', delete_reason = 'sweep'"
    )
    rule(ledger, exclude=[["phone"]])
    screen_all(ledger, settings)
    row = ledger.rows()["k1"]
    assert (row["change_kind"], row["delete_reason"], "phone" in row["text"]) == ("deleted", "sweep", False)


def test_what_is_hashed_already_is_not_hashed_twice(ledger: Ledger, settings: Settings) -> None:
    load(ledger, ledger.claimed(), person(1))
    rule(ledger, hash=[["phone"]])
    screen_all(ledger, settings)
    digest = privacy_key(settings).of_value(PHONE)
    assert json.loads(ledger.rows()["k1"]["text"])["phone"] == digest
    rule(ledger, hash=[["phone"]], exclude=[["v"]])
    screen_all(ledger, settings)
    assert json.loads(ledger.rows()["k1"]["text"]) == {"id": 1, "phone": digest}


def test_a_run_with_the_old_rules_is_taken_back(ledger: Ledger, settings: Settings) -> None:
    run = ledger.claimed()
    rule(ledger, exclude=[["phone"]])
    screen_all(ledger, settings)
    with pytest.raises(LostLease):
        load(ledger, run, person(1))


def test_nobody_changes_a_record_while_it_is_screened(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(ledger, ledger.claimed(), person(1))
    rule(ledger, exclude=[["phone"]])
    module = import_module("scheduler.keeping.erasure.rescreen")
    screened = module._screened

    def change(key: str) -> None:
        with ledger.database.transaction() as other:
            other.execute("SET LOCAL lock_timeout = '50ms'")
            other.execute("UPDATE records SET raw = '{}' WHERE key = %s", (key,))

    def meanwhile(row: Any, screen: Any) -> Any:
        with pytest.raises(Transient):
            change(row["key"])
        return screened(row, screen)

    monkeypatch.setattr(module, "_screened", meanwhile)
    assert screen_all(ledger, settings) == 1
    assert json.loads(ledger.rows()["k1"]["text"]) == {"id": 1, "v": 1}


def test_it_goes_on_where_it_stopped_and_begins_anew_with_newer_rules(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.keeping.erasure.rescreen.BATCH", 3)
    load(ledger, ledger.claimed(), *map(person, range(7)))
    rule(ledger, exclude=[["phone"]])

    def place() -> Any:
        row = ledger.database.one("SELECT screened_to FROM streams WHERE id = %(s)s", {"s": ledger.stream})
        assert row is not None
        return row["screened_to"]

    assert rescreen(ledger.database, REGISTRY, settings, seconds=0.0) == 0
    assert place() == "k2"
    rule(ledger, exclude=[["phone"], ["v"]])
    assert place() is None
    assert screen_all(ledger, settings) == 1
    assert {row["text"] for row in ledger.rows().values()} == {f'{{"id": {n}}}' for n in range(7)}


def test_without_a_key_nothing_is_touched_and_the_others_go_on(ledger: Ledger, settings: Settings) -> None:
    load(ledger, ledger.claimed(), person(1))
    rule(ledger, hash=[["phone"]])
    ledger.database.run("UPDATE streams SET options = '{\"exclude\": [[\"x\"]]}' WHERE name = 'parts'")
    assert rescreen(ledger.database, REGISTRY, Settings(privacy_key=None), seconds=60.0) == 1
    assert json.loads(ledger.rows()["k1"]["text"])["phone"] == PHONE


def test_a_stream_that_is_new_has_nothing_to_be_screened(ledger: Ledger, settings: Settings) -> None:
    ledger.database.run(
        "INSERT INTO streams (connection_id, name, bucket, schedule, options) SELECT id, 'assets', 1, '{\"every\": 900}',"
        ' \'{"exclude": [["phone"]]}\' FROM connections'
    )
    assert screen_all(ledger, settings) == 0
