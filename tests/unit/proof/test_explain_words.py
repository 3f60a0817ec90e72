"""Why a record is as it is, in sentences."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from scheduler.proof.explain.facts import Facts
from scheduler.proof.explain.words import explain

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
RUN = UUID("0199d2c4-77aa-7c1a-8000-000000000001")
STREAM: dict[str, Any] = {
    "connection": "plant", "name": "parts", "enabled": True, "paused_at": None, "history_done_at": NOW,
    "history_days": None, "history_since": None, "history_paused_at": None, "next_run_at": NOW + timedelta(minutes=3),
    "last_success_at": NOW - timedelta(minutes=5), "last_outcome": "succeeded", "last_error": None, "failures": 0,
    "look_back": 60.0, "watermark": "2026-11-26T11:55:00.000000Z", "next_sweep_at": None, "next_verify_at": None,
    "fuse": None,
}  # fmt: skip
RECORD: dict[str, Any] = {
    "observed_at": NOW - timedelta(hours=3), "source_updated_at": NOW - timedelta(hours=4), "version": 17,
    "first_seen_at": NOW - timedelta(days=9), "deleted_at": None, "delete_reason": None, "change_kind": "updated",
    "cause_kind": "run", "cause_id": RUN,
}  # fmt: skip
CAUSE = {"track": "live", "cause": "schedule"}


def say(stream: dict[str, Any] | None = None, record: dict[str, Any] | None = RECORD, **more: Any) -> str:
    more.setdefault("cause", CAUSE if record else None)
    return "\n".join(explain(Facts("7", NOW, STREAM | (stream or {}), record, **more)))


def test_a_record_says_when_it_changed_by_which_run_and_in_which_version() -> None:
    assert say() == (
        "7 of plant / parts was last changed in the copy by the live run 0199d2c4-77aa-7c1a (schedule); it was asked for at "
        "2026-11-26 09:00:00 UTC (3h ago).\n"
        "The source changed it at 2026-11-26 08:00:00 UTC (4h ago); its version is 17, and an older one that comes is "
        "refused.\n"
        "It was first seen at 2026-11-17 12:00:00 UTC (9d ago).\n"
        "The copy of this stream has not been compared with its source yet.\n"
        "The copy holds what was committed at the source before 2026-11-26 11:55:00 UTC (5m ago).\n"
        "The cursor stands at 2026-11-26T11:55:00.000000Z, and looks back by 1m.\n"
        "The next sync is due in 3m."
    )


def test_a_run_that_is_no_longer_kept_and_an_event_are_named_all_the_same() -> None:
    assert "by run 0199d2c4-77aa-7c1a, of which nothing more is kept" in say(cause=None)
    told = say(record=RECORD | {"cause_kind": "event"})
    assert "by what a webhook told of, in the run 0199d2c4-77aa-7c1a" in told
    assert f"by write {RUN}" in say(record=RECORD | {"cause_kind": "write"})


def test_a_deleted_record_says_since_when_and_by_what_evidence() -> None:
    gone = RECORD | {
        "deleted_at": NOW - timedelta(hours=1),
        "change_kind": "deleted",
        "delete_reason": "sweep",
    }
    assert (
        "7 of plant / parts is deleted since 2026-11-26 11:00:00 UTC (1h ago) by the live run 0199d2c4-77aa-7c1a (schedule): complete sweeps no longer saw it."
        in say(record=gone)
    )
    assert "a re-read found nothing" in say(record=gone | {"delete_reason": "not_found"})
    assert "the record itself says so" in say(record=gone | {"delete_reason": None})


def test_a_record_without_a_version_says_what_decides() -> None:
    assert "The source tells no time of change, and no version: what is asked for later wins." in say(
        record=RECORD | {"version": None, "source_updated_at": None}
    )


def test_an_unknown_record_says_what_would_bring_it() -> None:
    said = say(record=None)
    assert said.startswith("The copy holds no record 7 of plant / parts.\n")
    assert "`headrace resync plant parts --ids 7` brings it" in said


def test_an_unknown_record_may_still_come_with_the_history_or_be_older_than_it() -> None:
    assert "The history is still being read: it may come with that." in say(
        {"history_done_at": None}, record=None
    )
    assert "It is paused." in say({"history_done_at": None, "history_paused_at": NOW}, record=None)
    said = say({"history_days": 90, "history_since": "2026-08-28T00:00:00.000000Z"}, record=None)
    assert (
        "The history goes back 90 days, to 2026-08-28: what hasn't changed since then was not asked for."
        in said
    )


def test_what_is_left_of_an_erased_record_is_told_no_versions_of() -> None:
    left = RECORD | {"deleted_at": NOW, "delete_reason": "erased", "version": None, "source_updated_at": None}
    said = say(record=left, erased_at=NOW)
    assert "somebody had it erased here, and only its key is kept." in said
    assert "version" not in said


def test_a_record_that_was_erased_says_so_and_names_nothing_that_would_bring_it() -> None:
    said = say(record=None, erased_at=NOW - timedelta(days=3))
    assert "It was erased at 2026-11-23 12:00:00 UTC (3d ago), and what comes of it is not taken." in said
    assert "resync" not in said
    assert "can't be told without the privacy key" in say(record=None, may_be_erased=True)


def test_what_was_set_aside_says_why_and_what_shows_it() -> None:
    aside = {
        "id": UUID(int=7 << 96), "code": "bad_cursor", "reason": "'soon' is no time.", "run_id": RUN, "page": 4, "seen": 2,
        "last_seen_at": NOW - timedelta(hours=2), "retried_at": None,
    }  # fmt: skip
    assert (
        "What came of it at 2026-11-26 10:00:00 UTC (2h ago) was set aside: 'soon' is no time. (bad_cursor, run "
        "0199d2c4-77aa-7c1a, page 4). `headrace quarantine --show 00000007-000` shows it."
        in say(aside=[aside])
    )


def test_a_suspected_record_says_who_decides() -> None:
    seen = {"suspected_at": NOW - timedelta(hours=5), "missed": 1, "reason": None, "held": False}
    said = say({"next_sweep_at": NOW + timedelta(hours=7)}, suspicion=seen)
    assert (
        "One complete sweep has missed it since 2026-11-26 07:00:00 UTC (5h ago): it may be gone at the source."
        in said
    )
    assert "The next sweep decides, in 7h." in said
    held = say(suspicion=seen | {"missed": 3, "held": True})
    assert "3 complete sweeps in a row have missed it" in held
    assert (
        "Its delete is held, because too many are missing at once: `headrace deletes plant parts --review`."
        in held
    )
    assert "That is confirmed (a re-read found nothing)" in say(suspicion=seen | {"reason": "not_found"})


def test_the_last_comparison_says_what_it_found_of_the_record() -> None:
    verdict = {"run_id": RUN, "finished_at": NOW - timedelta(days=2), "words": "Proven: 10 records.", "kind": None,
               "waits": False, "proven": True}  # fmt: skip
    at = "The last comparison with the source, at 2026-11-24 12:00:00 UTC (2d ago)"
    assert f"{at}: Proven: 10 records." in say(verdict=verdict)
    assert f"{at}, found it different." in say(verdict=verdict | {"kind": "different"})
    assert f"{at}, found that it differs, and waits" in say(verdict=verdict | {"waits": True})
    assert "The next comparison is due in 4d." in say({"next_verify_at": NOW + timedelta(days=4)})


def test_what_is_due_and_what_waits_is_said_with_its_reason() -> None:
    work = [
        {"id": RUN, "track": "live", "state": "running", "wait_reason": None, "not_before": NOW, "cause": "cli"},
        {"id": RUN, "track": "sweep", "state": "queued", "wait_reason": "limit", "not_before": NOW + timedelta(hours=3),
         "cause": "schedule"},
        {"id": RUN, "track": "verify", "state": "queued", "wait_reason": None, "not_before": NOW, "cause": "cli"},
    ]  # fmt: skip
    said = say(work=work)
    assert "The live run 0199d2c4-77aa-7c1a is at work now." in said
    assert "The sweep run 0199d2c4-77aa-7c1a waits for a limit of the system, and goes on in 3h." in said
    assert "The verify run 0199d2c4-77aa-7c1a waits for a free worker." in said


def test_a_stream_that_is_paused_off_or_failing_says_so() -> None:
    assert "plant is paused since 2026-11-26 11:00:00 UTC (1h ago)" in say(
        {"paused_at": NOW - timedelta(hours=1)}
    )
    assert "The stream is switched off" in say({"enabled": False})
    failing = {"failures": 3, "last_error": "The system answered 401."}
    assert "Its syncs failed 3 times in a row, last with: The system answered 401." in say(failing)
    empty = {"last_outcome": "suspicious_empty", "last_error": "Nothing came."}
    assert "Its last sync is suspicious: Nothing came." in say(empty)
    assert "No sync of this stream has succeeded yet." in say({"last_success_at": None})
