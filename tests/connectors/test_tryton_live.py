"""Does the connector read a real Tryton as the ERP itself says it is? Asked page by page, without the engine."""

import json
from collections.abc import Callable
from itertools import pairwise

import httpx
import pytest
from connectors.asking import Asking
from connectors.asking_tryton import MANIFEST, PAGE, TICK, ask, changed_at, contents, newest, truth
from servers.systems.tryton.server import TrytonServer

from worker.connectors.contract import Gone, Window

pytestmark = pytest.mark.integration

STREAMS = list(MANIFEST.streams)
ADDRESS = {"street_unstructured": "Quay 1", "city": "Ghent"}


@pytest.fixture(scope="module")
def session(tryton: TrytonServer) -> str:
    """A login takes half a second (the ERP hashes with care), so tests that don't try it share one."""
    asking = ask(tryton)
    asking.records("locations", Window(since=newest(tryton, "locations") + TICK))
    return asking.held["session"]


@pytest.fixture
def asking(tryton: TrytonServer, session: str) -> Asking:
    """A connection that is logged in."""
    asking = ask(tryton)
    asking.held["session"] = session
    return asking


@pytest.fixture
def make(tryton: TrytonServer) -> Callable[..., list[int]]:
    """Create parties with one address each, in one transaction; their ids."""

    def parties(*names: str) -> list[int]:
        rows = [{"name": name, "addresses": [("create", [ADDRESS])]} for name in names]
        return tryton.erp.create("party.party", rows)

    return parties


@pytest.mark.parametrize("stream", STREAMS)
def test_the_whole_history_equals_the_erp_field_by_field(
    tryton: TrytonServer, asking: Asking, stream: str
) -> None:
    records = asking.records(stream)

    expected = truth(tryton, stream)
    assert contents(records) == expected
    assert len(records) == len(expected) > PAGE
    assert {record.key: record.cursor for record in records} == {
        key: changed_at(row) for key, row in expected.items()
    }


def test_archived_records_are_part_of_the_copy(
    tryton: TrytonServer, asking: Asking, make: Callable[..., list[int]]
) -> None:
    (gone,) = make("Archived Ltd")
    tryton.erp.edit("party.party", [gone], {"active": False})

    found = contents(asking.records("parties"))

    assert found[str(gone)] == truth(tryton, "parties", [["id", "=", gone]])[str(gone)]
    assert not found[str(gone)]["active"]


@pytest.mark.parametrize("stream", STREAMS)
def test_an_increment_begins_at_its_bound_and_holds_all_that_follows(
    tryton: TrytonServer, asking: Asking, stream: str
) -> None:
    """Whatever bound is chosen, records at exactly that time belong to it, those a microsecond older don't."""
    times = sorted({changed_at(row) for row in truth(tryton, stream).values()})
    for bound in (times[0], times[len(times) // 2], times[-1]):
        expected = {key for key, row in truth(tryton, stream).items() if changed_at(row) >= bound}
        assert {r.key for r in asking.records(stream, Window(since=bound))} == expected
    assert asking.records(stream, Window(since=times[-1] + TICK)) == []


def test_an_upper_bound_leaves_out_what_came_later(tryton: TrytonServer, asking: Asking) -> None:
    times = sorted({changed_at(row) for row in truth(tryton, "purchases").values()})
    since, until = times[5], times[20]

    found = asking.records("purchases", Window(since, until))

    expected = {k for k, row in truth(tryton, "purchases").items() if since <= changed_at(row) <= until}
    assert {record.key for record in found} == expected


def test_a_new_record_whose_write_date_is_null_is_in_the_increment(
    tryton: TrytonServer, asking: Asking, make: Callable[..., list[int]]
) -> None:
    before = newest(tryton, "addresses")
    (party,) = make("Null and Sons")

    found = asking.records("addresses", Window(since=before + TICK))

    expected = truth(tryton, "addresses", [["party", "=", party]])
    assert contents(found) == expected
    assert all(row["write_date"] is None for row in expected.values())


def test_an_edit_and_a_new_record_are_the_increment(
    tryton: TrytonServer, asking: Asking, make: Callable[..., list[int]]
) -> None:
    (known,) = make("Before the edit")
    before = newest(tryton, "parties")
    tryton.erp.edit("party.party", [known], {"name": "After the edit"})
    (new,) = make("Made after")

    found = contents(asking.records("parties", Window(since=before + TICK)))

    assert {key: row["name"] for key, row in found.items()} == {
        str(known): "After the edit",
        str(new): "Made after",
    }


def test_a_purchase_changes_state_and_is_in_the_increment(tryton: TrytonServer, asking: Asking) -> None:
    purchase = tryton.order("PO-STATE")
    before = newest(tryton, "purchases")
    tryton.erp.press("purchase.purchase", "quote", [purchase])
    tryton.erp.press("purchase.purchase", "confirm", [purchase])

    found = contents(asking.records("purchases", Window(since=before + TICK)))

    assert {key: row["state"] for key, row in found.items()} == {str(purchase): "confirmed"}
    assert found == truth(tryton, "purchases", [["id", "=", purchase]])


def test_an_edited_line_is_in_the_increment_though_its_purchase_is_not(
    tryton: TrytonServer, asking: Asking
) -> None:
    purchase = tryton.order("PO-LINE")
    line = tryton.erp.ids("purchase.line", [["purchase", "=", purchase]])[0]
    before = max(newest(tryton, "purchases"), newest(tryton, "purchase_lines"))
    tryton.erp.edit("purchase.line", [line], {"quantity": 9})
    window = Window(since=before + TICK)

    lines = contents(asking.records("purchase_lines", window))

    assert {key: row["quantity"] for key, row in lines.items()} == {str(line): 9}
    assert asking.records("purchases", window) == []


def test_more_records_of_one_microsecond_than_a_page_holds_are_all_read_once(
    tryton: TrytonServer, asking: Asking, make: Callable[..., list[int]]
) -> None:
    before = newest(tryton, "addresses")
    parties = make(*(f"Twin {n}" for n in range(2 * PAGE + 5)))

    pages = list(asking.pages("addresses", Window(since=before + TICK)))

    records = [record for page in pages for record in page.records]
    assert len({record.cursor for record in records}) == 1
    assert [len(page.records) for page in pages] == [PAGE, PAGE, 5]
    assert contents(records) == truth(tryton, "addresses", [["party", "in", parties]])


def test_records_edited_and_deleted_during_the_walk_move_no_page(
    tryton: TrytonServer, asking: Asking, make: Callable[..., list[int]]
) -> None:
    """After each page one record already read is edited, and another deleted: no other one is skipped or doubled."""
    parties = make(*(f"Walker {n}" for n in range(3 * PAGE)))
    since = newest(tryton, "parties")
    seen: list[str] = []
    for turn, page in enumerate(asking.pages("parties", Window(since=since))):
        seen += [record.key for record in page.records]
        if not page.records:
            break
        tryton.erp.edit("party.party", [parties[turn * PAGE]], {"name": f"Edited {turn}"})
        tryton.erp.delete("party.party", [parties[turn * PAGE + 1]])

    assert all(int(first) < int(second) for first, second in pairwise(seen))
    assert {int(key) for key in seen} >= set(parties)


def test_a_walk_goes_on_at_any_page_after_a_crash(tryton: TrytonServer, asking: Asking) -> None:
    pages = list(asking.pages("products"))
    assert len(pages) > 3
    for number in (0, 2, len(pages) - 2):
        stored = json.loads(json.dumps(pages[number].next))
        rest = list(asking.pages("products", at=stored))
        assert [r.key for p in rest for r in p.records] == [
            r.key for p in pages[number + 1 :] for r in p.records
        ]


def test_long_answers_come_compressed_and_are_read(tryton: TrytonServer, asking: Asking) -> None:
    asking.records("parties")
    headers = [response.headers for _, response in asking.sent]
    assert any(found.get("content-encoding") == "gzip" for found in headers)


def test_who_takes_no_gzip_gets_plain_text_that_claims_to_be_gzip(
    tryton: TrytonServer, asking: Asking
) -> None:
    """Why every request must accept gzip. When this fails, Tryton has mended it, and nothing of ours must change."""
    asking.records("parties")
    request, _ = asking.sent[-2]
    headers = {
        **request.headers,
        "Authorization": f"Session {asking.held['session']}",
        "Accept-Encoding": "identity",
    }
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", request.url, content=request.body, headers=headers) as answer,
    ):
        body = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(body)["result"]


def test_one_party_is_read_as_it_is_in_the_list_and_one_that_is_not_there_is_gone(
    tryton: TrytonServer, asking: Asking, make: Callable[..., list[int]]
) -> None:
    (number,) = make("Asked for alone Ltd")
    listed = {record.key: record for record in asking.records("parties")}
    (found,) = asking.one("parties", str(number)).records
    assert (found.key, found.digest, found.version) == (
        str(number),
        listed[str(number)].digest,
        listed[str(number)].version,
    )
    assert asking.one("parties", "987654321").gone == [Gone("987654321", "not_found")]


def test_a_filter_gives_what_the_erp_gives_for_it(tryton: TrytonServer, asking: Asking) -> None:
    stream = asking.source.stream("purchases").filtered({"state": "draft"})
    page = stream.read(asking.answer(stream.request(Window(), None)), Window(), None)
    expected = set(truth(tryton, "purchases", [["state", "=", "draft"]]))
    assert {record.key for record in page.records} == set(sorted(expected, key=int)[:PAGE])
