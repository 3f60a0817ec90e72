"""More missing at once than the fuse lets pass: nothing is deleted until a person has looked and decided."""

import pytest

from scheduler.connections.resolve import find_connection, find_stream
from scheduler.proof.deletes import accept, deletes_of, held_deletes, reject, suspects_of
from scheduler.runs.syncs import Refused
from worker.engine.perform import carry_out

from .conftest import Desk, hiding  # type: ignore[import-not-found]
from .test_evidence import keys  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


def place(desk: Desk, name: str = "parts") -> tuple[dict[str, object], dict[str, object]]:
    connection = find_connection(desk.services.database, "plant")
    return connection, find_stream(desk.services.database, connection, name)


def decide_accept(desk: Desk, **more: object) -> dict[str, object]:
    done = accept(desk.services.database, *place(desk), cause="cli", request_id="r", **more)  # type: ignore[arg-type]
    carry_out(desk.services, done.run)
    return desk.outcome(done.run)


@pytest.fixture
def held(desk: Desk) -> int:
    """A stream of 60 of which 25 are missing, and were missing again."""
    stream = desk.synced(60, "parts")
    desk.store.drop(*keys(25))
    desk.sweep(stream)
    run = desk.sweep(stream)
    assert (run["state"], run["error_code"]) == ("partial", "deletes_held")
    return stream


def test_up_to_twenty_pass_in_any_case(desk: Desk) -> None:
    stream = desk.synced(60, "parts")
    desk.store.drop(*keys(20))
    desk.sweep(stream)
    assert desk.sweep(stream)["state"] == "succeeded"
    assert len(desk.tombstones(stream)) == 20


def test_more_are_held_and_the_run_says_what_to_do(desk: Desk, held: int) -> None:
    assert len(desk.copy(held)) == 60
    words = desk.last_sweep(held)["words"]
    assert "25 of 60 records (41.7 %)" in words
    assert "headrace deletes plant parts --review" in words
    assert [(row["stream"], row["held"]) for row in held_deletes(desk.services.database)] == [("parts", 25)]
    found = deletes_of(desk.services.database, place(desk)[1])
    assert (found["suspected"], found["confirmed"], found["held"]) == (25, 25, 25)
    (first, *_) = suspects_of(desk.services.database, place(desk)[1], limit=3)
    assert (first["key"], first["held"], first["missed"]) == ("r0000", True, 2)
    assert '"r0000"' in first["raw"]


def test_the_share_is_that_of_the_connections_file(desk: Desk) -> None:
    stream = desk.synced(60, "parts", delete_limit=0.5)
    desk.store.drop(*keys(25))
    desk.sweep(stream)
    assert desk.sweep(stream)["state"] == "succeeded"
    assert len(desk.tombstones(stream)) == 25


def test_a_share_of_nothing_holds_a_single_one(desk: Desk) -> None:
    stream = desk.synced(60, "parts", delete_limit=0.0)
    desk.store.drop("r0000")
    assert desk.sweep(stream)["error_code"] == "deletes_held"
    assert desk.sweep(stream)["error_code"] == "deletes_held"
    assert desk.tombstones(stream) == {}


def test_a_limit_that_is_used_in_slices_is_still_a_limit(desk: Desk) -> None:
    stream = desk.synced(60, "parts")
    desk.store.drop(*keys(15))
    desk.sweep(stream)
    desk.sweep(stream)
    assert len(desk.tombstones(stream)) == 15
    desk.store.drop(*keys(10, 15))
    assert desk.sweep(stream)["error_code"] == "deletes_held"
    assert desk.sweep(stream)["error_code"] == "deletes_held"
    assert len(desk.tombstones(stream)) == 15


def test_accept_deletes_exactly_what_was_held(desk: Desk, held: int) -> None:
    desk.store.drop("r0050")
    desk.sweep(held)  # finds one more, which nobody has looked at
    run = decide_accept(desk)
    assert (run["state"], run["records_deleted"]) == ("succeeded", 25)
    assert desk.tombstones(held) == dict.fromkeys(keys(25), "sweep")
    assert desk.row(held)["fuse"] is None
    assert desk.suspects(held) == {"r0050": 1}
    desk.sweep(held)
    assert "r0050" in desk.tombstones(held)


def test_accept_leaves_what_was_seen_again_or_has_changed(desk: Desk, held: int) -> None:
    desk.store.put("r0000", "r0001", name="back")
    desk.run(held)
    desk.store.drop("r0001")
    decide_accept(desk)
    assert desk.copy(held) >= {"r0000", "r0001"}
    assert len(desk.tombstones(held)) == 23


def test_accept_leaves_what_a_list_has_shown_since_be_it_a_short_one(desk: Desk, held: int) -> None:
    desk.store.put("r0000")
    desk.store.total = lambda count: count + 10
    assert desk.sweep(held)["error_code"] == "sweep_short"
    assert decide_accept(desk)["records_deleted"] == 24
    assert "r0000" in desk.copy(held)


def test_accept_can_be_given_the_number_of_what_was_looked_at(desk: Desk, held: int) -> None:
    number = desk.row(held)["fuse"]["number"]
    with pytest.raises(Refused) as refusal:
        decide_accept(desk, number=number + 1)
    assert refusal.value.code == "other_deletes"
    decide_accept(desk, number=number)
    assert len(desk.tombstones(held)) == 25


def test_an_acceptance_of_what_is_no_longer_held_deletes_nothing(desk: Desk, held: int) -> None:
    done = accept(desk.services.database, *place(desk), cause="cli", request_id="r")
    reject(desk.services.database, *place(desk))
    carry_out(desk.services, done.run)
    assert desk.outcome(done.run)["state"] == "succeeded"
    assert desk.tombstones(held) == {}


def test_an_acceptance_that_comes_late_leaves_what_is_held_by_now_to_a_person(desk: Desk, held: int) -> None:
    done = accept(desk.services.database, *place(desk), cause="cli", request_id="r")
    reject(desk.services.database, *place(desk))
    assert desk.sweep(held)["error_code"] == "deletes_held"
    fuse = desk.row(held)["fuse"]
    carry_out(desk.services, done.run)
    assert desk.tombstones(held) == {}
    assert desk.row(held)["fuse"] == fuse


def test_reject_forgets_and_begins_anew(desk: Desk, held: int) -> None:
    assert reject(desk.services.database, *place(desk)) == 25
    assert desk.suspects(held) == {}
    assert desk.row(held)["fuse"] is None
    desk.store.put(*keys(25))
    assert desk.sweep(held)["state"] == "succeeded"
    assert len(desk.copy(held)) == 60


def test_what_came_back_lifts_the_fuse_by_itself(desk: Desk, held: int) -> None:
    desk.store.put(*keys(20))
    run = desk.sweep(held)
    assert run["state"] == "succeeded"
    assert desk.row(held)["fuse"] is None
    assert desk.tombstones(held).keys() == set(keys(5, 20))


def test_while_it_is_held_sweeps_go_on_and_what_was_looked_at_stays_the_same(desk: Desk, held: int) -> None:
    fuse = desk.row(held)["fuse"]
    desk.store.drop(*keys(5, 40))
    assert desk.sweep(held)["error_code"] == "deletes_held"
    assert desk.row(held)["fuse"] == fuse
    assert deletes_of(desk.services.database, place(desk)[1])["held"] == 25


def test_nothing_is_decided_where_nothing_is_held(desk: Desk) -> None:
    desk.synced(10, "parts")
    for decide in (lambda: decide_accept(desk), lambda: reject(desk.services.database, *place(desk))):
        with pytest.raises(Refused) as refusal:
            decide()
        assert refusal.value.code == "no_held_deletes"


def test_a_filter_gone_wrong_is_held(desk: Desk) -> None:
    """A tenth of the list is hidden for good, as by a permission that was taken away: no sweep can tell, a person can."""
    stream = desk.synced(250, "parts")
    hiding(desk, *keys(25, 100))
    for _ in range(3):
        desk.sweep(stream)
    assert len(desk.copy(stream)) == 250
    assert desk.row(stream)["fuse"]["count"] == 25


def test_a_long_list_of_keys_that_are_not_there_passes_the_same_fuse(desk: Desk) -> None:
    stream = desk.synced(60)
    desk.store.drop(*keys(25))
    run = desk.run(stream, "records", ids=keys(40))
    assert (run["state"], run["error_code"], run["records_deleted"]) == ("partial", "deletes_held", 0)
    assert "25 of 60 records (41.7 %)" in run["error"]
    assert [row["held"] for row in held_deletes(desk.services.database)] == [25]
    done = accept(desk.services.database, *place(desk, "orders"), cause="cli", request_id="r")
    carry_out(desk.services, done.run)
    assert desk.tombstones(stream) == dict.fromkeys(keys(25), "not_found")
    assert desk.row(stream)["fuse"] is None


def test_as_many_keys_as_may_go_without_asking_go_also_from_a_long_list(desk: Desk) -> None:
    stream = desk.synced(60)
    desk.store.drop(*keys(20))
    run = desk.run(stream, "records", ids=keys(40))
    assert (run["state"], run["records_deleted"]) == ("succeeded", 20)


def test_with_a_share_of_nothing_a_single_one_that_is_not_there_is_held(desk: Desk) -> None:
    stream = desk.synced(60, delete_limit=0.0)
    desk.store.drop("r0000")
    run = desk.run(stream, "records", ids=keys(3))
    assert (run["error_code"], desk.tombstones(stream)) == ("deletes_held", {})


def test_a_list_of_keys_leaves_what_a_person_is_looking_at_as_it_is(desk: Desk) -> None:
    stream = desk.synced(80)
    desk.store.drop(*keys(25))
    assert desk.run(stream, "records", ids=keys(40))["error_code"] == "deletes_held"
    shown = desk.row(stream)["fuse"]
    desk.store.drop(*keys(30, 30))
    assert desk.run(stream, "records", ids=keys(40, 30))["error_code"] == "deletes_held"
    assert desk.row(stream)["fuse"] == shown
    done = accept(desk.services.database, *place(desk, "orders"), cause="cli", request_id="r")
    carry_out(desk.services, done.run)
    assert desk.tombstones(stream) == dict.fromkeys(keys(25), "not_found")
