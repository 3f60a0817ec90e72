"""What the demo has to make a copy go wrong: records that vanish and come back, wrong clocks, and lists that lie."""

from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from scheduler.embedded.demo.plant.plant import Plant
from scheduler.embedded.demo.plant.schema import Change, iso, parse_iso

from .conftest import EPOCH, Demo  # type: ignore[import-not-found]


def purge(demo: Demo, entity: str, key: int | str) -> None:
    demo.control("POST", "purge", {"entity": entity, "id": key})


def ids(records: list[dict[str, Any]]) -> list[Any]:
    return [record["id"] for record in records]


def test_a_purged_record_is_nowhere_but_in_the_list_of_deletes(demo: Demo) -> None:
    demo.now += 1000
    purge(demo, "work_orders", 5)
    assert demo.get("work_orders/5", include_deleted="true").status_code == 404
    assert 5 not in ids(demo.walk("work_orders", limit=500, include_deleted="true"))
    assert demo.get("deleted", entity="work_orders").json() == {
        "data": [{"entity": "work_orders", "id": 5, "deleted_at": iso(demo.now)}],
        "next_cursor": None,
    }
    assert demo.control("GET", "truth?entity=work_orders")["purged_ids"] == [5]


def test_the_list_of_deletes_is_paged_and_begins_where_it_is_told_to(demo: Demo) -> None:
    for key in range(1, 6):
        demo.now += 1000
        purge(demo, "work_orders", key)
    first = demo.get("deleted", entity="work_orders", limit=3).json()
    second = demo.get("deleted", entity="work_orders", limit=3, cursor=first["next_cursor"]).json()
    assert ids(first["data"] + second["data"]) == [1, 2, 3, 4, 5]
    assert second["next_cursor"] is None
    assert ids(demo.get("deleted", entity="work_orders", since=iso(demo.now - 1000)).json()["data"]) == [4, 5]
    assert demo.get("deleted").status_code == demo.get("deleted", entity="parts", page=1).status_code == 400


@pytest.mark.parametrize("how", ["delete", "purge"])
def test_what_is_gone_can_be_brought_back_as_it_was(demo: Demo, how: str) -> None:
    before = demo.get("work_orders/5").json()
    demo.now += 1000
    demo.control("POST", how, {"entity": "work_orders", "id": 5})
    demo.now += 1000
    back = demo.control("POST", "restore", {"entity": "work_orders", "id": 5})
    assert back == before | {"updated_at": iso(demo.now)} == demo.get("work_orders/5").json()
    assert demo.get("deleted", entity="work_orders").json()["data"] == []
    assert ids(demo.truth("work_orders")).count(5) == 1


def test_a_record_can_come_back_with_its_old_stamp_as_from_a_backup(demo: Demo) -> None:
    before = demo.get("parts/PRT-00003").json()
    demo.now += 1000
    purge(demo, "parts", "PRT-00003")
    fields = {"updated_at": before["updated_at"]}
    assert demo.control("POST", "restore", {"entity": "parts", "id": "PRT-00003", "fields": fields}) == before
    assert demo.truth("parts") == demo.walk("parts")


def test_a_late_purge_shows_late(demo: Demo) -> None:
    demo.control("POST", "faults", {"late_commit_seconds": 5, "count": 1})
    purge(demo, "work_orders", 5)
    assert demo.get("work_orders/5").status_code == 200
    demo.now += 5000
    assert demo.get("work_orders/5").status_code == 404
    assert demo.get("deleted", entity="work_orders").json()["data"][0]["deleted_at"] == iso(EPOCH)


def test_only_what_is_there_can_be_purged_and_only_what_is_gone_restored(demo: Demo) -> None:
    purge(demo, "work_orders", 5)
    for path, key in (("purge", 5), ("purge", 10**9), ("restore", 6), ("restore", 10**9), ("change", 5)):
        response = demo.run(
            lambda client, path=path, key=key: client.post(
                f"/control/{path}",
                json={"entity": "work_orders", "id": key},
                headers={"X-Control-Token": "control-secret"},
            )
        )
        assert response.status_code == 400, (path, key)


def test_purges_and_restores_survive_the_process_and_its_compaction(tmp_path: Path) -> None:
    state = tmp_path / "journal"

    def opened() -> Plant:
        return Plant(seed=7, factor=0.01, clock=lambda: EPOCH, epoch=EPOCH, state=state)

    plant = opened()
    plant.commit([Change("work_orders", 3, {}, "purge"), Change("work_orders", 4, {}, "purge")])
    plant.commit([Change("work_orders", 4, {}, "restore")])
    for _ in range(2):
        plant.close()
        plant = opened()
        assert plant.store.shelves["work_orders"].purged == [(EPOCH, 3)]
        assert plant.store.head("work_orders", 3) is None
        assert plant.store.head("work_orders", 4) is not None
        for _ in range(8):  # enough for the next start to write the journal anew
            plant.restamp("work_orders", 50)
    plant.commit([Change("work_orders", 3, {}, "restore")])
    assert plant.store.head("work_orders", 3) is not None
    plant.close()


def test_a_hostile_life_purges_restores_and_plays_with_custom_fields() -> None:
    def lived(*, hostile: bool) -> Plant:
        plant = Plant(seed=7, factor=0.1, clock=lambda: EPOCH, epoch=EPOCH)
        for _ in range(2000):
            plant.tick(hostile=hostile)
        return plant

    def purged(plant: Plant) -> int:
        return sum(len(shelf.purged) for shelf in plant.store.shelves.values())

    calm, hostile = lived(hostile=False), lived(hostile=True)
    assert purged(calm) == 0 < purged(hostile)
    fields = [asset["custom_fields"] for asset in hostile.store.heads("assets")]
    assert {type(field.get("cost_centre")) for field in fields} > {str}
    assert any("inspection_group" in field for field in fields)


def test_a_field_can_vanish(demo: Demo) -> None:
    body = {"entity": "assets", "id": 3, "without": ["custom_fields"]}
    assert "custom_fields" not in demo.control("POST", "change", body)
    assert "custom_fields" not in demo.get("assets/3").json()


@pytest.mark.parametrize("paging", [{}, {"offset": 0}, {"page": 1}])
def test_ids_can_be_asked_for_alone(demo: Demo, paging: dict[str, int]) -> None:
    assert demo.get("parts", fields="id", **paging).json()["data"] == [
        {"id": key} for key in ids(demo.get("parts", **paging).json()["data"])
    ]
    some = demo.get("parts", fields="id,updated_at", **paging).json()["data"][0]
    assert set(some) == {"id", "updated_at"}
    assert demo.get("parts", fields="", **paging).status_code == 400


@pytest.mark.parametrize("paging", [{}, {"offset": 0}, {"page": 1}])
def test_updated_until_is_inclusive(demo: Demo, paging: dict[str, int]) -> None:
    truth = demo.truth("parts")
    since, until = truth[5]["updated_at"], truth[20]["updated_at"]
    answer = demo.get("parts", updated_since=since, updated_until=until, **paging).json()
    assert answer["data"] == truth[5:21]
    assert answer["total"] == 16


@pytest.mark.parametrize("skew", [3600, -3600])
def test_a_wrong_clock_shows_in_the_stamps_and_in_the_date_of_every_answer(demo: Demo, skew: int) -> None:
    demo.control("POST", "faults", {"clock_skew_seconds": skew})
    changed = demo.control("POST", "change", {"entity": "sites", "id": "SITE-01", "fields": {}})
    assert parse_iso(changed["updated_at"]) == EPOCH + skew * 1000
    assert demo.get("sites/SITE-01").json() == changed
    for path in ("sites", "sites/SITE-01", "ghosts", "deleted?entity=sites"):
        told = parsedate_to_datetime(demo.get(path).headers["date"])
        assert told.timestamp() * 1000 == EPOCH + skew * 1000
    demo.control("DELETE", "faults")
    assert parsedate_to_datetime(demo.get("sites").headers["date"]).timestamp() * 1000 == EPOCH


@pytest.mark.parametrize("paging", [{"limit": 10}, {"limit": 10, "offset": 0}, {"per_page": 10, "page": 1}])
def test_a_dropped_page_is_skipped_without_a_word(demo: Demo, paging: dict[str, int]) -> None:
    demo.control("POST", "faults", {"dropped_page": True, "count": 1})
    assert demo.get("parts", **paging).json()["data"] == demo.truth("parts")[10:20]
    assert demo.get("parts", **paging).json()["data"] == demo.truth("parts")[:10]


def test_a_reader_by_cursor_misses_a_dropped_page_and_gets_to_the_end(demo: Demo) -> None:
    demo.control("POST", "faults", {"dropped_page": True, "count": 1})
    assert demo.walk("parts", limit=10) == demo.truth("parts")[10:]


def test_a_list_that_is_cut_short_says_that_it_is_whole(demo: Demo) -> None:
    demo.control("POST", "faults", {"cut_short": True})
    answer = demo.get("parts", limit=10).json()
    assert (len(answer["data"]), answer["next_cursor"]) == (10, None)
    assert answer["total"] == len(demo.truth("parts"))
    link = demo.get("links/parts", limit=10)
    assert "link" not in link.headers
    assert link.json()["next"] is None


def test_a_broken_filter_lists_neither_nor_counts_what_it_hides(demo: Demo) -> None:
    demo.control("POST", "faults", {"broken_filter": 7})
    found = demo.walk("work_orders", limit=50)
    assert found == [record for record in demo.truth("work_orders") if record["id"] % 7]
    assert demo.get("work_orders").json()["total"] == len(found)
    assert demo.get("work_orders/7").status_code == 200


def test_an_ignored_filter_lists_everything(demo: Demo) -> None:
    demo.control("POST", "faults", {"ignored_filter": True})
    assert demo.walk("parts", updated_since=iso(EPOCH)) == demo.truth("parts")


def test_a_mangled_field_keeps_the_stamps(demo: Demo) -> None:
    demo.control("POST", "faults", {"mangled_field": "name", "count": 1})
    mangled, truth = demo.get("parts", limit=10).json()["data"], demo.truth("parts")[:10]
    for wrong, right in zip(mangled, truth, strict=True):
        assert wrong["name"] != right["name"]
        assert wrong | {"name": right["name"]} == right
    assert demo.get("parts", limit=10).json()["data"] == truth
