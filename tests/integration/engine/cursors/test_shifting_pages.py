"""Pages that shift while they are read, over real HTTP and into Postgres: what stayed is read, and no bad record stops it."""

from pathlib import Path

import pytest
from psycopg.types.json import Jsonb
from servers.systems.demo import Demo
from servers.systems.scripted import Said

from .office import Bench, Office  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration


SHIFTING = ["by_offset", "one_by_one", "by_page"]


class TestShiftingPages:
    @pytest.mark.parametrize("name", SHIFTING)
    def test_what_slips_into_a_page_that_was_read_is_read_all_the_same(self, bench: Bench, name: str) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)
        doomed = iter(range(0, 95, 7))

        def delete(changed: Office) -> None:
            if (key := next(doomed, None)) is not None and len(changed.asked) > 1:
                changed.delete(key)

        office.between = delete
        assert bench.sync(stream)["state"] == "succeeded"
        kept = {thing["id"] for thing in office.things}
        assert kept <= bench.keys(stream)
        assert any("changed places" in words for words in bench.state(name).warnings())

    @pytest.mark.parametrize("name", SHIFTING)
    def test_a_list_that_stays_is_read_without_going_back(self, bench: Bench, name: str) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)
        run = bench.sync(stream)
        assert bench.keys(stream) == set(range(95))
        assert (run["records_read"], run["records_created"]) == (95, 95)
        assert bench.state(name).row["doubts"] == []

    @pytest.mark.parametrize("name", SHIFTING)
    def test_an_interrupted_reading_goes_on_only_where_it_can_be_seen_to(
        self, bench: Bench, name: str
    ) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)

        def break_down(query: dict[str, str]) -> Said | None:
            begin = (
                int(query["offset"]) if "offset" in query else (int(query["page"]) - 1) * int(query["limit"])
            )
            return Said(b"{}", 500) if begin > 50 else None

        office.refuses = break_down
        run = bench.sync(stream)
        assert run["wait_reason"] == "retry"
        assert bench.keys(stream) > set(range(40))
        for key in range(0, 30, 2):
            office.delete(key)
        office.refuses = lambda _query: None
        assert bench.carry_out(run["id"])["state"] == "succeeded"
        assert {thing["id"] for thing in office.things} <= bench.keys(stream)

    @pytest.mark.parametrize(("age", "again"), [("2 hours", True), ("1 minute", False)])
    def test_a_place_that_is_hours_old_is_given_up(self, bench: Bench, age: str, again: bool) -> None:
        stream, office = bench.stream("one_by_one"), bench.office
        for key in range(95):
            office.put(key)
        office.refuses = lambda query: Said(b"{}", 500) if int(query["offset"]) > 50 else None
        run = bench.sync(stream)
        office.refuses = lambda _query: None
        bench.services.database.run(f"UPDATE cursors SET updated_at = now() - interval '{age}'")
        office.asked.clear()
        bench.carry_out(run["id"])
        assert (office.asked[0]["offset"] == "0") is again
        assert bench.keys(stream) == set(range(95))

    @pytest.mark.parametrize("name", SHIFTING)
    def test_a_bad_record_at_the_seam_of_two_pages_stops_neither(self, bench: Bench, name: str) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)
        for place in range(9, 40):
            office.things[place] = {"id": None, "name": place}
        run = bench.sync(stream)
        assert (run["state"], run["error_code"]) == ("partial", "records_set_aside")
        assert bench.row("SELECT count(*) AS n FROM quarantine")["n"] == 31
        assert bench.keys(stream) == set(range(95)) - set(range(9, 40))

    @pytest.mark.parametrize("name", SHIFTING)
    def test_one_record_that_never_rests_at_the_seam_of_two_pages_stops_neither(
        self, bench: Bench, name: str
    ) -> None:
        stream, office = bench.stream(name), bench.office
        for key in range(95):
            office.put(key)

        def count(changed: Office) -> None:
            for place in (9, 18, 27):
                changed.things[place]["hours"] = len(changed.asked)

        office.between = count
        assert bench.sync(stream)["state"] == "succeeded"
        assert bench.keys(stream) == set(range(95))

    def test_a_list_that_never_rests_ends_in_a_wait_and_not_for_ever(self, bench: Bench) -> None:
        stream, office = bench.stream("one_by_one"), bench.office

        def anew(changed: Office) -> None:
            first = len(changed.asked) * 1000
            changed.things = [{"id": first + n, "at": None} for n in range(95)]

        office.between = anew
        run = bench.sync(stream)
        assert (run["state"], run["wait_reason"], run["error_code"]) == ("queued", "retry", "pages_shift")
        run = bench.carry_out(run["id"])
        assert (run["state"], run["error_code"]) == ("failed", "pages_shift"), (
            "though each time it committed pages"
        )
        office.between = lambda _office: None
        assert bench.sync(stream)["state"] == "succeeded", "and the next one begins anew"
        assert {thing["id"] for thing in office.things} <= bench.keys(stream)


@pytest.mark.parametrize("name", ["by_offset", "by_page"])
def test_the_demo_system_is_copied_whole_while_it_shifts_its_pages(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    demo = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.3", "--requests", "0").start()
    try:
        bench.services.database.run(
            "UPDATE connections SET system = 'demo_by_place', settings = %(s)s, secrets = %(t)s",
            {
                "s": Jsonb({"base_url": demo.base_url}),
                "t": Jsonb({"token": f"file://{demo.token_file}"}),
            },
        )
        before, _ = demo.truth("work_orders")
        shifting = {"shifting_pages": {"insert": 1, "touch": 3}, "entity": "work_orders", "count": 12}
        demo.control("POST", "faults", shifting)
        stream = bench.stream(name)
        assert bench.sync(stream)["state"] == "succeeded"
        assert {int(key) for key in before} <= bench.keys(stream), "what was there all the time was not read"
        assert [doubt["reason"] for doubt in bench.state(name).row["doubts"]] == ["pages_shifted"]
    finally:
        demo.client.close()
        demo.kill()
