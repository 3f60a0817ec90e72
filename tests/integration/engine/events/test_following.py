"""What webhooks told of gets into the copy: coalesced, in whatever order it came, and marked in the commit that wrote it."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from servers.rows.events import Events
from servers.systems.mill import Works, iso
from servers.systems.scripted import Said

pytestmark = pytest.mark.integration


def held(works: Works, stream: int, key: str) -> dict[str, Any]:
    row = works.services.database.one(
        "SELECT * FROM records WHERE stream_id = %(s)s AND key = %(k)s", {"s": stream, "k": key}
    )
    assert row is not None
    return dict(row)


def whole(works: Works, key: str, **more: Any) -> bytes:
    return json.dumps(works.mill.records[key] | more).encode()


def test_a_record_that_a_webhook_names_is_asked_for_and_its_event_done(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.put("r0003", works.now(), note="new")
    event = events.tell("r0003")
    run = works.follow(stream)
    assert (run["state"], run["records_updated"]) == ("succeeded", 1)
    assert works.copy(stream) == works.mill.records
    row = events.row(event)
    assert (row["state"], row["outcome"], row["run_id"]) == ("done", "updated", run["id"])
    assert row["done_at"] >= row["received_at"]
    record = held(works, stream, "r0003")
    assert (record["cause_kind"], record["cause_id"]) == ("event", run["id"])


def test_a_burst_for_one_record_is_one_request(works: Works, stream: int, events: Events) -> None:
    works.mill.put("r0003", works.now(), note="new")
    for _ in range(40):
        events.tell("r0003")
    events.tell("r0004")
    works.follow(stream)
    assert sorted(works.mill.paths) == ["/orders/r0003", "/orders/r0004"]
    assert sorted(events.states()) == [("r0003", "done", "updated")] * 40 + [("r0004", "done", "unchanged")]


def test_more_records_than_go_in_one_statement_are_asked_for_side_by_side(
    works: Works, stream: int, events: Events
) -> None:
    for number in range(120):
        works.mill.put(f"n{number:03}", works.now())
        events.tell(f"n{number:03}")
    run = works.follow(stream)
    assert (run["state"], run["records_created"]) == ("succeeded", 120)
    assert works.copy(stream) == works.mill.records
    assert {outcome for _, _, outcome in events.states()} == {"created"}


def test_a_record_that_came_whole_is_taken_without_a_question(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.put("r0003", works.now(), note="new")
    event = events.tell("r0003", "full", record=whole(works, "r0003"))
    run = works.follow(stream)
    assert (run["state"], works.mill.paths) == ("succeeded", [])
    assert works.copy(stream) == works.mill.records
    row = events.row(event)
    assert (row["outcome"], row["record"]) == ("updated", None), "its bytes are dropped when it is loaded"


def test_what_arrives_out_of_order_does_no_harm(works: Works, stream: int, events: Events) -> None:
    states = []
    for number in range(3):
        works.mill.put("r0003", works.now(), note=number)
        states.append(whole(works, "r0003"))
    for state in (states[2], states[0], states[1]):
        events.tell("r0003", "full", record=state)
    works.follow(stream)
    assert works.copy(stream)["r0003"]["note"] == 2
    late = events.tell("r0003", "full", record=states[1])
    works.follow(stream)
    assert works.copy(stream)["r0003"]["note"] == 2
    assert events.row(late)["outcome"] == "older"


def test_a_whole_record_without_version_or_time_is_only_a_hint(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.put("r0003", works.now(), note="now")
    told = {key: value for key, value in works.mill.records["r0003"].items() if key != "version"}
    events.tell("r0003", "full", record=json.dumps(told | {"note": "then"}).encode())
    works.follow(stream)
    assert works.mill.paths == ["/orders/r0003"]
    assert works.copy(stream)["r0003"]["note"] == "now"


def test_a_delete_counts_once_the_system_says_so_too(works: Works, stream: int, events: Events) -> None:
    events.tell("r0003", "delete")
    works.follow(stream)
    assert "r0003" in works.copy(stream), "it is still there"
    del works.mill.records["r0003"]
    event = events.tell("r0003", "delete")
    run = works.follow(stream)
    assert run["records_deleted"] == 1
    assert "r0003" not in works.copy(stream)
    record = held(works, stream, "r0003")
    assert (record["delete_reason"], record["cause_kind"]) == ("not_found", "event")
    assert events.row(event)["outcome"] == "deleted"


def test_a_record_that_is_gone_is_not_brought_back_by_a_late_word_of_it(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.put("r0003", works.now(), note="last")
    last = whole(works, "r0003")
    del works.mill.records["r0003"]
    events.tell("r0003", "delete")
    works.follow(stream)
    events.tell("r0003", "full", record=last, said_at=works.now() - timedelta(minutes=1))
    works.follow(stream)
    assert "r0003" not in works.copy(stream)


def test_more_deletes_than_the_fuse_lets_pass_wait_for_a_person(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.records.clear()
    for number in range(30):
        events.tell(f"r{number:04}", "delete")
    works.follow(stream)
    assert len(works.copy(stream)) == 30
    assert works.row(stream)["fuse"]["count"] == 30
    assert {outcome for _, _, outcome in events.states()} == {"held"}


def test_deletes_one_by_one_are_deletes_to_the_fuse_all_the_same(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.records.clear()
    for number in range(25):
        events.tell(f"r{number:04}", "delete")
        works.follow(stream)
    assert len(works.copy(stream)) == 10, "twenty may go in a day"
    assert works.row(stream)["fuse"] is not None


def test_a_system_that_suddenly_knows_nothing_is_not_believed(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.records.clear()
    for number in range(15):
        events.tell(f"r{number:04}")
    works.follow(stream)
    assert len(works.copy(stream)) >= 20, "ten at most were told of a change and not there"
    assert "sweep" in {outcome for _, _, outcome in events.states()}


def test_a_word_of_the_stream_alone_brings_a_live_run(works: Works, stream: int, events: Events) -> None:
    works.mill.put("r0003", works.now(), note="new")
    for _ in range(5):
        events.tell(None, "stream")
    works.follow(stream)
    runs = works.services.database.all("SELECT * FROM runs WHERE track = 'live'")
    assert [(run["lane"], run["cause"], run["request_id"]) for run in runs] == [(1, "webhook", "r-hook")]
    assert events.states() == [(None, "done", "live_run")] * 5
    works.carry_out_ready()
    assert works.copy(stream) == works.mill.records


def test_where_one_record_cant_be_asked_for_a_live_run_looks(works: Works) -> None:
    works.mill.put("r0003", works.now(), note="new")
    stream = works.stream("tags")
    events = Events(works.services.database, stream)
    events.tell("r0003")
    gone = events.tell("r0004", "delete")
    works.follow(stream)
    works.carry_out_ready()
    assert works.copy(stream) == works.mill.records
    assert events.row(gone)["outcome"] == "sweep"


def test_a_poisoned_event_fails_alone_and_is_given_up_with_words(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.singles["r0003"] = (400, "application/json", b'{"error": "what is r0003?"}')
    poison = events.tell("r0003")
    for attempt in range(1, 5):
        works.mill.put("r0004", works.now(), note=attempt)
        other = events.tell("r0004")
        run = works.follow(stream)
        assert run["state"] == "succeeded"
        assert events.row(other)["outcome"] == "updated"
        row = events.row(poison)
        assert (row["state"], row["attempts"]) == ("pending", attempt)
        assert row["not_before"] > works.now()
        events.due_again()
    run = works.follow(stream)
    assert (run["state"], run["error_code"]) == ("partial", "events_failed")
    row = events.row(poison)
    assert (row["state"], row["attempts"]) == ("failed", 5)
    assert "400" in row["error"]


def test_an_answer_that_breaks_for_one_record_keeps_nobody_else_waiting(
    works: Works, stream: int, events: Events
) -> None:
    works.mill.singles["r0003"] = (500, "application/json", b"{}")
    broken = events.tell("r0003")
    run = works.follow(stream)
    assert run["state"] == "succeeded", "the run doesn't wait: who comes next finds none that does"
    row = events.row(broken)
    assert (row["state"], row["attempts"]) == ("pending", 1)
    del works.mill.singles["r0003"]
    events.due_again()
    works.follow(stream)
    assert events.row(broken)["outcome"] == "unchanged"


def test_a_system_that_is_down_is_no_fault_of_the_events(works: Works, stream: int, events: Events) -> None:
    works.serve(lambda _asked: Said(b"{}", 503))
    for number in range(20):
        events.tell(f"r{number:04}")
    run = works.follow(stream)
    assert (run["state"], run["wait_reason"]) == ("queued", "retry")
    assert {state for _, state, _ in events.states()} == {"pending"}
    assert {events.row(id_)["attempts"] for id_ in ids(events)} == {0}
    works.serve(works.mill)
    works.follow(stream)
    assert {state for _, state, _ in events.states()} == {"done"}


def test_a_run_that_a_person_must_help_waits_and_is_never_over(
    works: Works, stream: int, events: Events
) -> None:
    works.serve(lambda _asked: Said(b"{}", 401))
    events.tell("r0003")
    for _ in range(4):
        run = works.follow(stream)
        assert (run["state"], run["wait_reason"]) == ("queued", "retry")
        assert run["not_before"] > works.now() + timedelta(minutes=4)
    assert run["error_code"] is not None


def test_events_of_a_stream_that_is_switched_off_wait(works: Works, stream: int, events: Events) -> None:
    works.services.database.run("UPDATE streams SET enabled = false WHERE id = %(s)s", {"s": stream})
    events.tell("r0003")
    run = works.follow(stream)
    assert (run["state"], works.mill.paths) == ("succeeded", [])
    assert events.states() == [("r0003", "pending", None)]
    works.services.database.run("UPDATE streams SET enabled = true WHERE id = %(s)s", {"s": stream})
    works.follow(stream)
    assert events.states() == [("r0003", "done", "unchanged")]


def test_what_may_not_be_kept_is_screened_from_whole_records_too(
    works: Works, stream: int, events: Events
) -> None:
    works.services.database.run(
        'UPDATE streams SET options = \'{"exclude": [["note"]]}\' WHERE id = %(s)s', {"s": stream}
    )
    works.mill.put("r0003", works.now(), note="private", site="north")
    events.tell("r0003", "full", record=whole(works, "r0003"))
    works.follow(stream)
    assert "note" not in works.copy(stream)["r0003"]
    assert works.copy(stream)["r0003"]["site"] == "north"


def ids(events: Events) -> list[UUID]:
    rows = events.database.all("SELECT id FROM events ORDER BY id")
    return [row["id"] for row in rows]


def test_a_time_of_the_system_counts_by_our_clock(works: Works, stream: int, events: Events) -> None:
    works.mill.put("r0003", works.now(), note="new")
    events.tell("r0003", "full", record=whole(works, "r0003"), said_at=works.now() + timedelta(hours=3))
    works.follow(stream)
    assert held(works, stream, "r0003")["observed_at"] <= works.now()
    assert iso(works.now()) > works.copy(stream)["r0003"]["at"]
