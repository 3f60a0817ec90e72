"""The commands that look back, erase and show what is taken, against a real database."""

from typing import Any
from uuid import UUID

import pytest
from servers.installation.commands import Command
from servers.rows.ledger import LEASE, NEXT, Ledger, record

from worker.config import Settings
from worker.connectors.contract import Page
from worker.engine.keep.versions import Versions
from worker.engine.loading.load import Loader, Observed
from worker.runs.claim import Run
from worker.runs.finish import finish_run
from worker.runs.states import State

pytestmark = pytest.mark.integration


def load(ledger: Ledger, **texts: str) -> UUID:
    """A run that brings these records."""
    run: Run = ledger.claimed()
    loader = Loader(ledger.database, run, lease=LEASE, extras=[Versions()], authoritative=True)
    page = Page([record(key, text) for key, text in texts.items()])
    loader.load_pages([Observed(page, run.now())], NEXT)
    finish_run(ledger.database, run.id, run.claim_no, State.SUCCEEDED)
    return run.id


def switch_on(ledger: Ledger) -> None:
    ledger.database.run("UPDATE streams SET options = '{\"keep_versions\": 86400}'")


def moment(ledger: Ledger) -> str:
    row = ledger.database.one("SELECT clock_timestamp() AS now")
    assert row is not None
    return str(row["now"].isoformat())


def test_records_are_shown_as_they_were(ledger: Ledger, headrace: Command) -> None:
    refused = headrace("records", "plant", "work_orders", "--as-of", "1m")
    assert refused.code != 0
    assert "No versions are kept" in refused.err
    assert "keep_versions" in refused.err
    switch_on(ledger)
    load(ledger, a='{"x":1}')
    then = moment(ledger)
    load(ledger, a='{"x":2}', b='{"x":3}')
    shown = headrace("records", "plant", "work_orders", "--as-of", then, "--json")
    assert [(row["key"], row["record"]) for row in shown.json] == [("a", {"x": 1})]
    assert "can be told since" in headrace("records", "plant", "work_orders", "--as-of", "2d").err
    assert "is no time" in headrace("records", "plant", "work_orders", "--as-of", "soon").err


def test_what_a_run_changed_is_shown_and_asked_for_again(ledger: Ledger, headrace: Command) -> None:
    switch_on(ledger)
    load(ledger, a='{"x":1,"y":1}')
    run = load(ledger, a='{"x":2,"y":1}', b='{"x":3}')
    shown = headrace("runs", "changes", str(run), "--json").json
    assert shown["versions"] is True
    assert [(each["key"], each["kind"]) for each in shown["changes"]] == [("a", "updated"), ("b", "created")]
    assert shown["changes"][0]["fields"] == [{"path": "x", "before": "1", "after": "2"}]
    table = headrace("runs", "changes", str(run)).out.split()
    assert table[:5] == ["key", "change", "field", "before", "after"]
    assert table[5:10] == ["a", "updated", "x", "1", "2"]
    assert "the first 1" in headrace("runs", "changes", str(run), "--limit", "1").err
    paused = "UPDATE connections SET paused_at = "
    ledger.database.run(f"{paused} now()")
    assert headrace("runs", "changes", str(run), "--resync").code == 2
    ledger.database.run(f"{paused} NULL")
    wanted = headrace("runs", "changes", str(run), "--resync", "--json").json
    row: Any = ledger.database.one(
        "SELECT track, scope, cause FROM runs WHERE id = %(id)s", {"id": wanted["id"]}
    )
    assert wanted["records"] == 2
    assert row == {"track": "records", "scope": {"ids": ["a", "b"]}, "cause": "resync"}


def test_without_versions_it_is_said_what_is_missing(ledger: Ledger, headrace: Command) -> None:
    run = load(ledger, a='{"x":1}')
    shown = headrace("runs", "changes", str(run))
    assert "No versions of work_orders are kept" in shown.err
    assert headrace("runs", "changes", "0" * 32).code != 0


def test_erasing_asks_first_and_says_where_it_was(
    ledger: Ledger, headrace: Command, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(ledger, a='{"x":1}')
    load(ledger, a='{"x":2}')
    assert "nobody is there to be asked" in headrace("erase", "plant", "work_orders", "a").err
    refused = headrace("erase", "plant", "work_orders", "a", "--yes")
    assert refused.code != 0
    assert "HEADRACE_PRIVACY_KEY" in refused.err
    monkeypatch.setenv("HEADRACE_PRIVACY_KEY", str(settings.privacy_key))
    said = headrace("erase", "plant", "work_orders", "a", "--yes")
    assert said.code == 0, said.err
    assert "record versions (1)" in said.out
    assert ledger.rows()["a"]["delete_reason"] == "erased"
    assert headrace("erase", "plant", "work_orders", "b", "--yes", "--json").json["erased"] is False
    assert headrace("erase", "plant", "work_orders", "a", "--allow", "--json").json == {"allowed": 1}
    assert headrace("erase", "plant", "work_orders", "--allow-all", "--json").json == {"allowed": 1}
    assert headrace("erase", "plant", "work_orders").code != 0


def test_what_is_taken_is_shown_by_connection_and_by_stream(ledger: Ledger, headrace: Command) -> None:
    load(ledger, a='{"x":1}', b='{"x":1}')
    load(ledger, a='{"x":2}')
    shown = headrace("storage", "plant", "--json").json
    found = {each["stream"]: each for each in shown["streams"]}
    assert (found["work_orders"]["records"]["rows"], found["work_orders"]["versions"]["rows"]) == (2, 1)
    assert shown["database"]["bytes"] > 0
    lines = headrace("storage").out.splitlines()
    assert lines[1].split()[:2] == ["plant", "2"]
    assert "of its disk free" in lines[-1]
