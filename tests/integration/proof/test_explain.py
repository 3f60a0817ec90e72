"""All that is known of one record is told of it, and of no other."""

from pathlib import Path
from uuid import UUID

import pytest
from integration.proof.compared import set_aside
from psycopg.types.json import Jsonb
from servers.installation.commands import Command
from servers.systems.bench import Bench

pytestmark = pytest.mark.integration


@pytest.fixture
def stream(bench: Bench) -> int:
    found: int = bench.stream("vendors")
    bench.sync(found)
    return found


def explained(headrace: Command, key: str) -> str:
    return headrace("explain", "d", "vendors", key).out


def compared(bench: Bench, stream: int, number: int, *examples: dict[str, str]) -> None:
    bench.services.database.run(
        "INSERT INTO verifications (run_id, stream_id, started_at, methods, scope, allowance, requests, checked,"
        " copy_records, missing, extra, different, pending, repaired, proven, words, examples) VALUES"
        " (%(run)s, %(s)s, now(), '{}', '{}', 1, 1, 1, 1, 0, 0, 2, 0, 0, false, 'Two differ.', %(examples)s)",
        {"run": UUID(int=number), "s": stream, "examples": Jsonb(list(examples))},
    )


def test_a_record_is_told_with_its_run_its_doubts_what_was_set_aside_and_what_waits(
    bench: Bench, stream: int, headrace: Command
) -> None:
    key, other = list(bench.copy(stream))[:2]
    set_aside(bench, stream, b"{}", key)
    bench.services.database.run(
        "INSERT INTO suspects (stream_id, key, suspected_at, evidence_at, generation)"
        " VALUES (%(s)s, %(key)s, now(), now(), 1)",
        {"s": stream, "key": key},
    )
    bench.request(stream, track="sweep")
    said = explained(headrace, key)
    assert f"{key} of d / vendors came into the copy by the history run" in said
    assert "was set aside: It was no time. (bad_cursor" in said
    assert "One complete sweep has missed it since" in said
    assert "The sweep run" in said
    assert "waits for a free worker." in said
    said = explained(headrace, other)
    assert "was set aside" not in said
    assert "has missed it" not in said


def test_what_the_last_comparison_found_of_a_record_is_told_of_it_and_of_no_other(
    bench: Bench, stream: int, headrace: Command
) -> None:
    key, other, third = list(bench.copy(stream))[:3]
    compared(bench, stream, 1, {"kind": "extra", "key": key})
    compared(bench, stream, 2, {"kind": "missing", "key": other}, {"kind": "different", "key": key})
    assert "found it different." in explained(headrace, key)
    assert "found it missing." in explained(headrace, other)
    assert ": Two differ." in explained(headrace, third)


def test_who_was_erased_is_told_where_the_privacy_key_is_there_to_tell_it(
    bench: Bench, stream: int, headrace: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "privacy-key").write_text("a privacy key of a test\n")
    monkeypatch.setenv("HEADRACE_PRIVACY_KEY", f"file://{tmp_path}/privacy-key")
    key = next(iter(bench.copy(stream)))
    assert "erased" in headrace("erase", "d", "vendors", key, "--yes").out
    assert "It was erased at" in explained(headrace, key)
    assert "erased" not in explained(headrace, "nowhere")
    monkeypatch.delenv("HEADRACE_PRIVACY_KEY")
    assert "can't be told without the privacy key" in explained(headrace, "nowhere")


def test_what_a_webhook_brought_is_said_to_be_so(bench: Bench, stream: int, headrace: Command) -> None:
    key = next(iter(bench.copy(stream)))
    bench.services.database.run(
        "UPDATE records SET cause_kind = 'event' WHERE stream_id = %(s)s AND key = %(k)s",
        {"s": stream, "k": key},
    )
    assert "by what a webhook told of, in the run " in explained(headrace, key)
