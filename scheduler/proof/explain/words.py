"""Facts of a record in sentences. Pure: what is to be known goes in, sentences come out, in the order of their weight."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from scheduler.proof.explain.facts import Facts
from worker.parsing.durations import format_duration

SHORT_ID = 18
WAITS = {
    "retry": "another attempt", "limit": "a limit of the system", "slice": "its next turn", "drain": "another worker",
    "rescue": "another worker", "window": "a time at which the plant may be asked", "parent": "the run of a parent",
}  # fmt: skip
REASONS = {
    "flag": "the record itself says so",
    "tombstone": "the system's list of deletes names it",
    "rekeyed": "it is called by another key since the connection was upgraded to another version of its system's manifest",
    "delta": "the system's feed of changes says so",
    "not_found": "a re-read found nothing",
    "sweep": "complete sweeps no longer saw it",
    "erased": "somebody had it erased here",
}
DAY = 86400.0


def explain(facts: Facts) -> list[str]:
    """Why the record is as it is, what is known to be wrong, and what comes next."""
    return [
        *_present(facts),
        *_withheld(facts),
        *_doubts(facts),
        *_proof(facts),
        *_coming(facts),
    ]


def _present(facts: Facts) -> Iterator[str]:
    record = facts.record
    where = f"{facts.stream['connection']} / {facts.stream['name']}"
    if record is None:
        yield f"The copy holds no record {facts.key} of {where}."
        yield from _never_came(facts)
        return
    if record["delete_reason"] == "erased":
        since = _when(record["deleted_at"], facts)
        yield f"{facts.key} of {where} is deleted since {since}: {REASONS['erased']}, and only its key is kept."
        return
    if record["deleted_at"] is not None:
        why = REASONS.get(record["delete_reason"] or "flag", "the system says so")
        yield f"{facts.key} of {where} is deleted since {_when(record['deleted_at'], facts)}{_by(facts)}: {why}."
    else:
        verb = {"created": "came into the copy", "updated": "was last changed in the copy"}
        yield (
            f"{facts.key} of {where} {verb.get(record['change_kind'], 'is in the copy')}{_by(facts)}; "
            f"it was asked for at {_when(record['observed_at'], facts)}."
        )
    yield from _version(facts, record)


def _by(facts: Facts) -> str:
    record, cause = facts.record, facts.cause
    assert record is not None  # noqa: S101 - asked by whoever has one
    if record["cause_kind"] not in ("run", "event"):
        return f" by {record['cause_kind']} {record['cause_id']}"
    short = str(record["cause_id"])[:SHORT_ID]
    if record["cause_kind"] == "event":
        return f" by what a webhook told of, in the run {short}"
    if cause is None:
        return f" by run {short}, of which nothing more is kept"
    return f" by the {cause['track']} run {short} ({cause['cause']})"


def _version(facts: Facts, record: Any) -> Iterator[str]:
    changed = record["source_updated_at"]
    said = (
        f"The source changed it at {_when(changed, facts)}"
        if changed
        else "The source tells no time of change"
    )
    if record["version"] is None:
        yield f"{said}, and no version: what is asked for later wins."
    else:
        yield f"{said}; its version is {record['version']}, and an older one that comes is refused."
    if record["first_seen_at"] != record["observed_at"]:
        yield f"It was first seen at {_when(record['first_seen_at'], facts)}."


def _never_came(facts: Facts) -> Iterator[str]:
    """What would bring a record that isn't there."""
    stream = facts.stream
    if facts.erased_at is not None:
        return
    if stream["history_done_at"] is None:
        paused = " It is paused." if stream["history_paused_at"] else ""
        yield f"The history is still being read: it may come with that.{paused}"
    elif stream["history_days"] is not None:
        since = f", to {str(stream['history_since'])[:10]}" if stream["history_since"] else ""
        yield (
            f"The history goes back {stream['history_days']} days{since}: what hasn't changed since then was not asked "
            "for. A longer `history` in the connections file brings it."
        )
    yield (
        f"If it is at the source, `headrace resync {stream['connection']} {stream['name']} --ids {facts.key}` brings it; "
        "else a change of it there does, with the next sync."
    )


def _withheld(facts: Facts) -> Iterator[str]:
    """What keeps it, or its newest content, out of the copy."""
    if facts.erased_at is not None:
        yield f"It was erased at {_when(facts.erased_at, facts)}, and what comes of it is not taken."
    elif facts.may_be_erased and facts.record is None:
        yield "Records of this stream were erased; whether it is one of them can't be told without the privacy key."
    for row in facts.aside:
        tried = f", tried again at {_when(row['retried_at'], facts)}" if row["retried_at"] else ""
        yield (
            f"What came of it at {_when(row['last_seen_at'], facts)} was set aside: {row['reason']} ({row['code']}, run "
            f"{str(row['run_id'])[:SHORT_ID]}, page {row['page']}{tried}). `headrace quarantine --show "
            f"{str(row['id'])[:12]}` shows it."
        )


def _doubts(facts: Facts) -> Iterator[str]:
    """Signs that it is gone at the source."""
    seen, stream = facts.suspicion, facts.stream
    if seen is None:
        return
    times = (
        "One complete sweep has" if seen["missed"] == 1 else f"{seen['missed']} complete sweeps in a row have"
    )
    yield f"{times} missed it since {_when(seen['suspected_at'], facts)}: it may be gone at the source."
    if seen["held"]:
        yield (
            "Its delete is held, because too many are missing at once: "
            f"`headrace deletes {stream['connection']} {stream['name']} --review`."
        )
    elif seen["reason"]:
        yield f"That is confirmed ({REASONS[seen['reason']]}); it is deleted with the end of a sweep."
    elif stream["next_sweep_at"]:
        yield f"The next sweep decides, {_ahead(stream['next_sweep_at'], facts)}."


def _proof(facts: Facts) -> Iterator[str]:
    verdict, stream = facts.verdict, facts.stream
    if verdict is None:
        yield "The copy of this stream has not been compared with its source yet."
    else:
        said = f"The last comparison with the source, at {_when(verdict['finished_at'], facts)}"
        if verdict["kind"]:
            yield f"{said}, found it {verdict['kind']}."
        elif verdict["waits"]:
            yield f"{said}, found that it differs, and waits for a sync to mend that."
        else:
            yield f"{said}: {verdict['words']}"
    if stream["next_verify_at"]:
        yield f"The next comparison is due {_ahead(stream['next_verify_at'], facts)}."


def _coming(facts: Facts) -> Iterator[str]:
    """How fresh the copy is, what is due next, and what waits."""
    stream = facts.stream
    yield from _freshness(facts)
    if stream["paused_at"] is not None:
        yield f"{stream['connection']} is paused since {_when(stream['paused_at'], facts)}: nothing comes until it is resumed."
    elif not stream["enabled"]:
        yield "The stream is switched off in the connections file: nothing comes."
    elif stream["next_run_at"] is not None:
        yield f"The next sync is due {_ahead(stream['next_run_at'], facts)}."
    if stream["failures"]:
        times = "once" if stream["failures"] == 1 else f"{stream['failures']} times in a row"
        yield f"Its syncs failed {times}, last with: {stream['last_error'] or 'no words'}"
    elif stream["last_outcome"] == "suspicious_empty":
        yield f"Its last sync is suspicious: {stream['last_error'] or 'nothing came.'}"
    for run in facts.work:
        yield _work(facts, run)


def _freshness(facts: Facts) -> Iterator[str]:
    stream = facts.stream
    if stream["last_success_at"] is None:
        yield "No sync of this stream has succeeded yet."
    else:
        yield f"The copy holds what was committed at the source before {_when(stream['last_success_at'], facts)}."
    if stream["watermark"]:
        back = stream["look_back"]
        looks = f", and looks back by {format_duration(back)}" if back else ""
        yield f"The cursor stands at {stream['watermark']}{looks}."


def _work(facts: Facts, run: Any) -> str:
    name = f"The {run['track']} run {str(run['id'])[:SHORT_ID]}"
    if run["state"] == "running":
        return f"{name} is at work now."
    if run["not_before"] <= facts.now:
        return f"{name} waits for a free worker."
    what = WAITS.get(run["wait_reason"] or "", "its time")
    return f"{name} waits for {what}, and goes on {_ahead(run['not_before'], facts)}."


def _when(at: datetime, facts: Facts) -> str:
    """`2026-11-26 08:00:00 UTC (3m ago)`."""
    passed = facts.now - at
    if passed < timedelta():
        return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({_coarse(passed.total_seconds())} ago)"


def _ahead(at: datetime, facts: Facts) -> str:
    left = (at - facts.now).total_seconds()
    return "now" if left <= 0 else f"in {_coarse(left)}"


def _coarse(seconds: float) -> str:
    for size in (DAY, 3600.0, 60.0):
        if seconds >= 2 * size:
            return format_duration(seconds // size * size)
    return format_duration(seconds)
