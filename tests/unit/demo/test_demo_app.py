"""What the demo's API answers, asked without a socket."""

import asyncio
import json
from functools import partial
from typing import Any

import httpx
import pytest

from scheduler.embedded.demo.plant.schema import ENTITIES, iso, parse_iso

from .conftest import CONTROL, Demo  # type: ignore[import-not-found]


@pytest.mark.parametrize("entity", ENTITIES)
def test_all_pages_of_every_entity_are_the_truth(demo: Demo, entity: str) -> None:
    demo.control("POST", "faults", {"duplicate_timestamps": 250})
    found = demo.walk(entity, limit=37)
    assert found == demo.truth(entity)
    assert len({r["id"] for r in found}) == len(found) == demo.get(entity).json()["total"]


def test_deleted_records_are_shown_as_tombstones_only_when_asked_for(demo: Demo) -> None:
    demo.now += 1000
    demo.control("POST", "delete", {"entity": "work_orders", "id": 5})
    assert 5 not in {r["id"] for r in demo.walk("work_orders", limit=500)}
    with_deleted = {r["id"]: r for r in demo.walk("work_orders", limit=500, include_deleted="true")}
    assert with_deleted[5]["deleted_at"] == with_deleted[5]["updated_at"] == iso(demo.now)
    truth = demo.control("GET", "truth?entity=work_orders")
    assert 5 in truth["deleted_ids"]
    assert len(with_deleted) == len(truth["records"]) + len(truth["deleted_ids"])
    assert demo.get("work_orders/5").status_code == 404
    assert demo.get("work_orders/5", include_deleted="true").json()["deleted_at"] == iso(demo.now)


def test_updated_since_is_inclusive(demo: Demo) -> None:
    truth = demo.truth("parts")
    since = truth[20]["updated_at"]
    assert demo.walk("parts", updated_since=since) == [r for r in truth if r["updated_at"] >= since]


def test_links_lead_through_all_records_by_header_and_by_body(demo: Demo) -> None:
    url: str | None = "/api/v1/links/parts?limit=9"
    found = []
    while url:
        response = demo.get(url)
        body = response.json()
        found += body["data"]
        url = body["next"]
        assert response.links.get("next", {}).get("url") == url
    assert found == demo.truth("parts")
    assert demo.get("links/parts", page=1).status_code == 400


def test_one_record_is_found_by_its_id(demo: Demo) -> None:
    assert demo.get("parts/PRT-00003").json()["id"] == "PRT-00003"
    assert demo.get("assets/3").json()["id"] == 3
    for path in (
        "assets/99999",
        "assets/x",
        "assets/³",
        "parts/3",
        "ghosts/1",
        "ghosts",
        "assets/" + "9" * 30,
    ):
        response = demo.get(path)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"


def test_a_wrong_parameter_is_answered_400_with_its_name(demo: Demo) -> None:
    response = demo.get("parts", limit=501)
    assert response.status_code == 400
    assert "limit" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer nope", "Basic first", "Bearer firs", "Bearer FIRST"]
)
def test_a_stranger_gets_nothing(demo: Demo, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for path in ("/api/v1/parts", "/api/v1/parts/PRT-00001", "/api/v1/links/parts", "/api/v1/ghosts"):
        response = demo.run(partial(httpx.AsyncClient.get, url=path, headers=headers))
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "unauthorized"
        assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", ["", "nope", "first"])
def test_the_control_surface_opens_with_its_own_token_only(demo: Demo, token: str) -> None:
    headers = {"X-Control-Token": token, "Authorization": "Bearer first"}
    response = demo.run(lambda client: client.get("/control/truth?entity=parts", headers=headers))
    assert response.status_code == 401


def test_without_a_control_token_there_is_no_control_surface() -> None:
    demo = Demo(control_token=None)
    assert demo.run(lambda client: client.get("/control/stats", headers=CONTROL)).status_code == 404


def test_the_limit_is_told_and_kept_for_each_token() -> None:
    demo = Demo(requests=3, per=60)
    answers = [demo.get("sites") for _ in range(5)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
    assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["2", "1", "0", "0", "0"]
    assert answers[0].headers["x-ratelimit-limit"] == "3"
    assert 55 <= int(answers[3].headers["retry-after"]) <= 60
    assert demo.get("sites", token="second").status_code == 200
    stats = demo.control("GET", "stats")
    assert [admitted for _, _, admitted in stats["arrivals"]] == [True, True, True, False, False, True]
    assert stats["by_status"] == {"200": 4, "429": 2}
    demo.control("POST", "limits", {"requests": 0})
    assert demo.get("sites").status_code == 200


def test_concurrency_is_counted(demo: Demo) -> None:
    demo.control("POST", "faults", {"latency_ms": 50})

    async def several(client: httpx.AsyncClient) -> None:
        headers = {"Authorization": "Bearer first"}
        await asyncio.gather(*(client.get("/api/v1/sites", headers=headers) for _ in range(7)))

    demo.run(several)
    assert demo.control("GET", "stats?arrivals=false")["concurrency"] == {"now": 0, "max": 7}
    demo.control("DELETE", "stats")
    assert demo.control("GET", "stats")["requests"] == 0


def with_fault(demo: Demo, body: dict[str, Any], path: str = "parts") -> httpx.Response:
    demo.control("POST", "faults", body)
    return demo.get(path)  # type: ignore[no-any-return]


def test_errors_come_as_json_or_as_html_of_a_proxy(demo: Demo) -> None:
    response = with_fault(demo, {"error_rate": 1.0, "error_status": 503})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "internal_error")
    response = with_fault(demo, {"error_rate": 1.0, "error_status": 502, "error_body": "html", "count": 1})
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert "<html>" in response.text
    assert demo.get("parts").status_code == 200


def test_a_storm_answers_429_to_everything_until_it_is_cleared(demo: Demo) -> None:
    response = with_fault(demo, {"storm_429": 17})
    assert (response.status_code, response.headers["retry-after"]) == (429, "17")
    assert demo.get("sites/SITE-01").status_code == 429
    demo.control("DELETE", "faults")
    assert demo.get("parts").status_code == 200


def test_a_revoked_token_is_refused(demo: Demo) -> None:
    assert with_fault(demo, {"auth_revoked": True}).status_code == 401


def test_an_empty_list_claims_that_there_is_nothing(demo: Demo) -> None:
    assert with_fault(demo, {"empty_list": True}).json() == {"data": [], "next_cursor": None, "total": 0}


@pytest.mark.parametrize("how", ["wrong_type", "missing_id", "not_an_object"])
def test_a_bad_record_spoils_one_of_its_page_and_not_the_truth(demo: Demo, how: str) -> None:
    good = demo.get("parts").json()["data"]
    found = with_fault(demo, {"bad_record": how, "count": 1}).json()["data"]
    assert len(found) == len(good)
    assert sum(a != b for a, b in zip(good, found, strict=True)) == 1
    assert demo.get("parts").json()["data"] == good == demo.truth("parts")[: len(good)]


def test_malformed_json_looks_complete_and_is_not(demo: Demo) -> None:
    response = with_fault(demo, {"malformed_json": True})
    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        response.json()


def test_a_wrong_content_type_holds_good_json(demo: Demo) -> None:
    response = with_fault(demo, {"wrong_content_type": True})
    assert response.headers["content-type"].startswith("text/html")
    assert json.loads(response.text)["data"]


def test_a_fault_of_one_entity_leaves_the_others_alone(demo: Demo) -> None:
    assert with_fault(demo, {"empty_list": True, "entity": "parts"}, "sites").json()["data"]
    assert demo.get("parts").json()["data"] == []


def test_latency_is_felt(demo: Demo) -> None:
    response = with_fault(demo, {"latency_ms": [80, 90]})
    assert response.status_code == 200
    assert response.elapsed.total_seconds() >= 0.08


def test_duplicate_timestamps_span_pages(demo: Demo) -> None:
    demo.now += 5000
    demo.control("POST", "faults", {"duplicate_timestamps": 60, "entity": "assets"})
    stamps = [r["updated_at"] for r in demo.truth("assets")]
    assert stamps.count(iso(demo.now)) == min(60, len(stamps)) > 10
    assert iso(demo.now) not in {r["updated_at"] for r in demo.truth("parts")}


def test_a_late_commit_appears_after_its_time_with_the_stamp_it_was_given(demo: Demo) -> None:
    demo.now += 1000
    demo.control("POST", "faults", {"late_commit_seconds": 5, "count": 1})
    changed = demo.control("POST", "change", {"entity": "sites", "id": "SITE-01", "fields": {"name": "Late"}})
    demo.now += 4999
    assert demo.get("sites/SITE-01").json()["name"] != "Late"
    assert demo.control("GET", "life")["pending"] == 1
    demo.now += 1
    assert demo.get("sites/SITE-01").json() == changed
    assert parse_iso(changed["updated_at"]) == demo.now - 5000
    assert demo.control("GET", "life")["pending"] == 0


def test_a_coarse_clock_cuts_the_stamps(demo: Demo) -> None:
    demo.now += 1234
    demo.control("POST", "faults", {"coarse_clock_seconds": 10})
    changed = demo.control("POST", "change", {"entity": "sites", "id": "SITE-01", "fields": {}})
    assert changed["updated_at"] == iso(demo.now - demo.now % 10_000)


def test_shifting_pages_make_a_reader_by_page_number_miss_records(demo: Demo) -> None:
    before = {r["id"] for r in demo.truth("assets")}
    demo.now += 1000
    demo.control("POST", "faults", {"shifting_pages": {"touch": 3, "insert": 1}})
    seen = set()
    for page in range(1, 4):
        seen |= {r["id"] for r in demo.get("assets", page=page, per_page=5).json()["data"]}
        demo.now += 1000
    demo.control("DELETE", "faults")
    skipped = {r["id"] for r in demo.truth("assets")[:15]}
    assert len({r["id"] for r in demo.truth("assets")} - before) == 3
    assert skipped != seen


def test_creating_makes_up_what_is_left_out(demo: Demo) -> None:
    made = demo.control("POST", "create", {"entity": "work_orders", "fields": {"title": "By hand"}})
    assert (made["title"], made["status"]) == ("By hand", "open")
    assert demo.get(f"work_orders/{made['id']}").json() == made


@pytest.mark.parametrize("value", [2**70, "nul \x00", "📷", [[[1]]], {"a": 1e300}, None])
def test_a_field_may_hold_any_json(demo: Demo, value: Any) -> None:
    demo.control("POST", "change", {"entity": "sites", "id": "SITE-01", "fields": {"odd": value}})
    assert demo.get("sites/SITE-01").json()["odd"] == value


@pytest.mark.parametrize(
    "content", [b'{"entity":"sites","fields":{"name":"\\ud800"}}', b"{", b"\xff", b"[]", b"null"]
)
def test_a_body_that_can_not_be_kept_is_answered_400(demo: Demo, content: bytes) -> None:
    before = demo.truth("sites")
    send = partial(httpx.AsyncClient.post, url="/control/create", content=content, headers=CONTROL)
    assert demo.run(send).status_code == 400
    assert demo.truth("sites") == before


def test_a_change_may_carry_a_clock_that_is_wrong(demo: Demo) -> None:
    body = {"entity": "sites", "id": "SITE-01", "fields": {"updated_at": "2031-01-01T01:00:00+01:00"}}
    assert demo.control("POST", "change", body)["updated_at"] == "2031-01-01T00:00:00.000Z"
    assert demo.control("POST", "create", {"entity": "sites", "fields": {}})["updated_at"] == iso(demo.now)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("change", {"entity": "sites", "id": "SITE-77", "fields": {}}),
        ("change", {"entity": "sites", "id": None}),
        ("change", {"entity": "sites", "id": ["x"]}),
        ("change", {"entity": "sites", "id": "SITE-01", "fields": {"id": "x"}}),
        ("change", {"entity": "sites", "id": "SITE-01", "fields": {"updated_at": "soon"}}),
        ("delete", {"entity": "ghosts", "id": 1}),
        ("create", ["sites"]),
        ("faults", {"meteor": 1}),
        ("bulk?entity=parts&count=none", None),
        ("tick?n=nan", None),
        ("thaw?rate=-1", None),
        ("limits", {"requests": "many"}),
    ],
)
def test_a_wrong_control_request_is_answered_400_and_changes_nothing(
    demo: Demo, path: str, body: Any
) -> None:
    before = demo.truth("sites")
    response = demo.run(lambda client: client.post(f"/control/{path}", json=body, headers=CONTROL))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_request")
    assert demo.truth("sites") == before


def test_ticks_are_the_same_for_the_same_seed() -> None:
    first, second = Demo(), Demo()
    for demo in (first, second):
        demo.now += 60_000
        demo.control("POST", "tick?n=150")
    for entity in ENTITIES:
        assert first.truth(entity) == second.truth(entity)
    assert first.control("GET", "life")["step"] == 150


def test_bulk_adds_records_while_others_are_served(demo: Demo) -> None:
    before = demo.get("work_orders").json()["total"]

    async def both(client: httpx.AsyncClient) -> int:
        adding = asyncio.create_task(
            client.post("/control/bulk?entity=work_orders&count=3000", headers=CONTROL)
        )
        between = 0
        while not adding.done():
            page = await client.get("/api/v1/work_orders?limit=1", headers={"Authorization": "Bearer first"})
            between += before < page.json()["total"] < before + 3000
            await asyncio.sleep(0)
        return between

    assert demo.run(both) > 0
    assert demo.get("work_orders").json()["total"] == before + 3000
