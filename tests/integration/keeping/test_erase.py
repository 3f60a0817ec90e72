"""A record that is erased is nowhere any more, and doesn't come back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from psycopg.rows import DictRow
from servers.installation.traces import leaks, whole_database
from servers.rows.ledger import LEASE, NEXT, Ledger, record

from scheduler.keeping.erasure.erase import PLACES, allow_again, erase_record
from worker.config import Settings
from worker.connectors.contract import Gone, Page, Record, Rejected
from worker.db.database import Database
from worker.db.queries import sql
from worker.engine.keep.digests import PrivacyKey, privacy_key
from worker.engine.keep.erasures import erasure_screen
from worker.engine.keep.versions import Versions
from worker.engine.loading.load import Loader, Observed
from worker.errors import LostLease, NeedsOperator, NotFound
from worker.runs.claim import Run

pytestmark = pytest.mark.integration

KEY = "pl4nted-k3y"
NAME, MAIL, OLD_MAIL = "Pl4nted Person", "pl4nted@example.org", "0ld-pl4nted@example.org"
PERSON = {"the key": KEY, "the name": NAME, "the mail": MAIL, "the mail before": OLD_MAIL}


def person(mail: str, version: int) -> Record:
    text = json.dumps({"id": KEY, "name": NAME, "contact": {"mails": [mail]}, "n": version})
    found = record(KEY, text, version=version)
    found.exact = text.encode()
    return found


def stream_of(ledger: Ledger) -> DictRow:
    row = ledger.database.one("SELECT * FROM streams WHERE id = %(s)s", {"s": ledger.stream})
    assert row is not None
    return row


def load(ledger: Ledger, run: Run, *records: Record, **more: Any) -> None:
    loader = Loader(ledger.database, run, lease=LEASE, extras=[Versions()])
    loader.load_pages([Observed(Page(list(records), **more), run.now())], NEXT)


def plant(ledger: Ledger) -> Run:
    """The person in every place that we know of."""
    run = ledger.claimed()
    broken = [
        Rejected(f'{{"id":"{KEY}","at":"{NAME}"}}'.encode(), "bad_cursor", f"'{NAME}' is no time.", KEY),
        Rejected(f'{{"name":"{NAME}", broken'.encode(), "not_json", "The record is not JSON.", None),
    ]
    load(ledger, run, person(OLD_MAIL, 1), record("other", '{"name":"Somebody else"}', version=1))
    load(ledger, run, person(MAIL, 2), rejected=broken)
    place = {"s": ledger.stream, "key": KEY, "run": run.id, "scope": json.dumps({"ids": [KEY, "other"]})}
    for statement in (
        "INSERT INTO suspects (stream_id, key, suspected_at, evidence_at, generation) VALUES (%(s)s, %(key)s, now(), now(), 1)",
        "INSERT INTO swept_pages VALUES (%(s)s, 1, 1, ARRAY['other', %(key)s]), (%(s)s, 1, 2, ARRAY['more'])",
        (
            "INSERT INTO verifications (run_id, stream_id, started_at, methods, scope, allowance, requests, checked,"
            " copy_records, missing, extra, different, pending, repaired, proven, words, examples)"
            " VALUES (%(run)s, %(s)s, now(), '{}', '{}', 1, 1, 1, 1, 0, 0, 1, 0, 0, false, '',"
            " jsonb_build_array(jsonb_build_object('key', %(key)s::text)))"
        ),
        "INSERT INTO subscriptions (name, url, secret, position) VALUES ('a', 'http://x', 'env://X', '1')",
        (
            "INSERT INTO pending_deliveries (subscription_id, stream_id, key, error)"
            " SELECT id, %(s)s, %(key)s, 'refused' FROM subscriptions"
        ),
        (
            "UPDATE cursors SET position = jsonb_build_object('page', jsonb_build_object('next', %(key)s::text))"
            " WHERE stream_id = %(s)s"
        ),
        (
            "INSERT INTO events (connection_id, stream_id, kind, key, event_key, record, request_id, error)"
            " SELECT connection_id, id, 'full', %(key)s, 'updated:' || %(key)s, convert_to('"
            + MAIL
            + "', 'UTF8'), 'r', 'No such mail: "
            + MAIL
            + "' FROM streams WHERE id = %(s)s"
        ),
        "INSERT INTO event_keys (connection_id, key) SELECT connection_id, 'updated:' || %(key)s FROM streams WHERE id = %(s)s",
        "INSERT INTO untold_changes (stream_id, key) VALUES (%(s)s, %(key)s)",
        (
            "INSERT INTO webhook_refusals (connection_id, name, reason, words, body, request_id)"
            " SELECT connection_id, 'plant', 'bad_signature', 'no', '"
            + MAIL
            + "', 'r' FROM streams WHERE id = %(s)s"
        ),
        (
            "INSERT INTO idempotency_keys (token_id, key, request, body)"
            " VALUES (headrace_uuid7(), 'sync-' || %(key)s, '', convert_to('" + MAIL + "', 'UTF8'))"
        ),
        "UPDATE runs SET scope = %(scope)s, error = 'No such mail: " + MAIL + "' WHERE id = %(run)s",
        "UPDATE streams SET last_error = 'No such mail: " + MAIL + "' WHERE id = %(s)s",
    ):
        ledger.database.run(statement, place)
    ended = ledger.request(track="records", scope={"ids": [KEY]})
    ledger.database.run(
        "UPDATE runs SET error = %(error)s WHERE id = %(id)s",
        {"id": ended.id, "error": f"It waits since: no such mail: {MAIL}"},
    )
    ledger.database.run(
        "INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state,"
        " claim_no, attempt, request_id, created_at, pages, records_read, records_created, records_updated,"
        " records_deleted, records_refused, records_rejected, error)"
        " SELECT id, false, stream_id, connection_id, queue, track, scope, lane, cause, 'failed', 1, 0, 'r', now(),"
        " 0, 0, 0, 0, 0, 0, 0, %(error)s FROM runs WHERE id = %(id)s",
        {"id": ended.id, "error": f"The system answered 404: no {KEY}."},
    )
    return run


def found_in(database: Database, words: Mapping[str, str]) -> list[str]:
    with database.connection() as connection:
        return leaks(words, {f"table {name}": content for name, content in whole_database(connection)})


def test_nothing_of_the_record_is_left_in_any_table_but_its_key_in_the_tombstone(
    ledger: Ledger, settings: Settings
) -> None:
    plant(ledger)
    planted = " ".join(found_in(ledger.database, PERSON))
    for table in (
        "records_01",
        "record_versions",
        "quarantine",
        "swept_pages",
        "runs",
        "run_history",
        "cursors",
    ):
        assert f"in table {table}" in planted, f"nothing was planted in {table}"
    erased = erase_record(ledger.database, settings, stream_of(ledger), KEY, "as asked for")
    assert {place for place in PLACES if not erased.removed[place]} == set()
    left = found_in(ledger.database, PERSON)
    assert [line.split(":")[0] for line in left] == ["the key (plain) in table records_01"] or all(
        line.startswith("the key (") and "in table records_01" in line for line in left
    ), left


def test_a_number_that_python_cannot_read_keeps_no_record_from_being_erased(
    ledger: Ledger, settings: Settings
) -> None:
    run = ledger.claimed()
    load(
        ledger,
        run,
        record("odd", '{"n": ' + "9" * 5000 + ', "deep": ' + "[" * 3000 + "]" * 3000 + "}", version=1),
    )
    assert erase_record(ledger.database, settings, stream_of(ledger), "odd").was_there


def test_readers_of_the_feed_see_a_delete_without_content(ledger: Ledger, settings: Settings) -> None:
    plant(ledger)
    before = ledger.rows()[KEY]
    erase_record(ledger.database, settings, stream_of(ledger), KEY)
    after = ledger.rows()[KEY]
    assert (after["change_kind"], after["delete_reason"], after["text"]) == ("deleted", "erased", "{}")
    assert after["deleted_at"] is not None
    assert (after["exact"], after["version"], after["source_updated_at"]) == (None, None, None)
    assert int(after["xid"]) > int(before["xid"])
    assert after["change_seq"] != before["change_seq"]


def test_other_records_and_other_streams_are_left_as_they_were(ledger: Ledger, settings: Settings) -> None:
    plant(ledger)
    run = ledger.claimed(stream=ledger.other)
    load(ledger, run, person(MAIL, 1))
    other = ledger.rows()["other"]
    erase_record(ledger.database, settings, stream_of(ledger), KEY)
    assert ledger.rows()["other"] == other
    assert ledger.database.one(
        "SELECT raw->>'name' AS name FROM records WHERE stream_id = %(s)s", {"s": ledger.other}
    ) == {"name": NAME}
    row = ledger.database.one(
        "SELECT scope FROM runs WHERE scope ? 'ids' AND jsonb_array_length(scope->'ids') = 1"
    )
    assert row == {"scope": {"ids": ["other"]}}


def screened(ledger: Ledger, settings: Settings, page: Page) -> Page:
    rows = ledger.database.all(sql.erasures_of, {"stream": ledger.stream})
    return erasure_screen(ledger.stream, privacy_key(settings), rows)(page)


def test_it_does_not_come_back_until_it_is_allowed_to(ledger: Ledger, settings: Settings) -> None:
    erased = erase_record(ledger.database, settings, stream_of(ledger), KEY)
    assert not erased.was_there
    run = ledger.claimed()
    assert run.erased
    page = Page([person(MAIL, 3), record("other")], gone=[Gone(KEY, "sweep")])
    assert [each.key for each in screened(ledger, settings, page).records] == ["other"]
    assert screened(ledger, settings, page).gone == []
    assert allow_again(ledger.database, settings, stream_of(ledger), KEY) == 1
    assert len(screened(ledger, settings, page).records) == 2
    assert stream_of(ledger)["erased"] is False
    with pytest.raises(NotFound):
        allow_again(ledger.database, settings, stream_of(ledger), KEY)


def test_a_run_that_was_claimed_before_can_commit_no_page_any_more(
    ledger: Ledger, settings: Settings
) -> None:
    """It has no screen, and may hold the record in its hands."""
    run = ledger.claimed()
    erased = erase_record(ledger.database, settings, stream_of(ledger), KEY)
    assert [run_id for run_id, _ in erased.wakeups] == [run.id]
    with pytest.raises(LostLease):
        load(ledger, run, person(MAIL, 3))
    again = ledger.claim(run.id)
    assert again is not None
    assert again.erased
    assert (again.attempt, ledger.rows()) == (0, {})


def test_a_key_is_known_again_by_a_digest_that_needs_the_secret_key(
    ledger: Ledger, settings: Settings
) -> None:
    erase_record(ledger.database, settings, stream_of(ledger), KEY)
    row = ledger.database.one("SELECT key_digest, made_with FROM erasures")
    assert row is not None
    assert bytes(row["key_digest"]) == privacy_key(settings).of_key(ledger.stream, KEY)
    assert bytes(row["key_digest"]) != PrivacyKey(b"somebody else's key").of_key(ledger.stream, KEY)


def test_without_a_privacy_key_nothing_is_erased_by_halves(ledger: Ledger, settings: Settings) -> None:
    plant(ledger)
    with pytest.raises(NeedsOperator, match="no key"):
        erase_record(ledger.database, Settings(privacy_key=None), stream_of(ledger), KEY)
    assert ledger.rows()[KEY]["deleted_at"] is None
    erase_record(ledger.database, settings, stream_of(ledger), "another")
    (settings.home / "privacy-key").write_text("another privacy key entirely")
    with pytest.raises(NeedsOperator, match="another key"):
        erase_record(ledger.database, settings, stream_of(ledger), KEY)


def test_every_column_that_may_hold_something_of_a_record_is_thought_of(database: Database) -> None:
    """A table that comes later, with a column of such a name, must be added to the places, or said to be harmless here."""
    # A count, an account, what a system says when it is asked to send webhooks, the text of a manifest.
    harmless = {
        ("sweeps", "keys"),
        ("budget_quotas", "scope"),
        ("webhook_registrations", "error"),
        ("manifests", "body"),
    }
    telling = (
        "key",
        "keys",
        "raw",
        "exact",
        "scope",
        "error",
        "examples",
        "waiting",
        "payload",
        "body",
        "last_error",
    )
    rows = database.all(
        "SELECT c.relname AS table, a.attname AS column FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped"
        " AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND a.attname = ANY (%(names)s)",
        {"names": list(telling)},
    )
    places = {"records" if place == "record" else place for place in PLACES}
    known = places | {"subscriptions"}  # what is wrong with an endpoint
    assert {(row["table"], row["column"]) for row in rows if row["table"] not in known} - harmless == set()
