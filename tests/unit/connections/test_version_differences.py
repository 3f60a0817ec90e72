"""What is told of two versions of a manifest: what begins anew, what goes on, and in which words."""

from typing import Any

import pytest
import yaml

from scheduler.connections.upgrading.compare import Difference, StreamChange, compare
from worker.connectors.manifest.model import Manifest, manifest_in
from worker.connectors.registry.edition import order_of
from worker.connectors.registry.fitting import Fit
from worker.parsing.documents import read_document

PARTS: dict[str, Any] = {
    "path": "/parts",
    "records": "",
    "key": "id",
    "incremental": {"field": "changed", "param": "since"},
}
BEFORE: dict[str, Any] = {
    "manifest": 1,
    "system": "ours",
    "title": "Ours",
    "protocol": "rest",
    "base_url": "https://ours.example.com",
    "streams": {"parts": PARTS},
}


def manifest(**changes: Any) -> Manifest:
    return manifest_in(read_document(yaml.safe_dump({**BEFORE, **changes}).encode(), "ours"))


def with_parts(**changes: Any) -> Manifest:
    """Its stream so; None takes a key away."""
    stream = {name: value for name, value in {**PARTS, **changes}.items() if value is not None}
    return manifest(streams={"parts": stream})


def difference(after: Manifest, before: Manifest | None = None, **have: Any) -> Difference:
    return compare(
        before or manifest(), after, settings=have.get("settings", {}), secrets=have.get("secrets", {})
    )


def change(after: Manifest, before: Manifest | None = None) -> StreamChange:
    (found,) = difference(after, before).streams
    return found


def test_what_says_the_same_is_no_difference() -> None:
    assert difference(manifest(title="Ours, renamed", version="1.0.1")) == Difference()


@pytest.mark.parametrize("key", ["number", ["id", "site"], ["meta.id"]])
def test_another_key_begins_anew_and_names_both(key: Any) -> None:
    found = change(with_parts(key=key))
    assert (found.fit.key, found.anew) == (False, True)
    assert "and not by id" in found.words[0]


def test_a_key_that_is_only_written_otherwise_is_the_same() -> None:
    assert difference(with_parts(key=["id"])) == Difference()


@pytest.mark.parametrize(
    "incremental",
    [
        {"field": "touched", "param": "since"},
        {"field": "changed", "param": "since", "format": "epoch_s"},
        {"field": "changed", "param": "since", "zone": "Europe/Berlin"},
        {"field": "changed", "param": "since", "kind": "number"},
        {"kind": "token", "param": "since", "token": "delta"},
        None,
    ],
)
def test_another_cursor_begins_anew_and_its_keys_stay(incremental: Any) -> None:
    before = with_parts(records="data")
    found = change(with_parts(records="data", incremental=incremental), before)
    assert (found.fit.key, found.fit.cursor, found.anew) == (True, False, True)
    assert "its cursors are dropped" in found.words[0]


@pytest.mark.parametrize(
    "incremental",
    [
        {"field": "changed", "param": "updated_since"},
        {"field": "changed", "param": "since", "overlap": "1h"},
        {"field": "changed", "param": "since", "until_param": "until"},
    ],
)
def test_how_it_is_asked_with_a_cursor_leaves_the_cursor_as_it_is(incremental: Any) -> None:
    found = [each.fit for each in difference(with_parts(incremental=incremental)).streams]
    assert all(fit.key and fit.cursor for fit in found)


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/v2/parts"},
        {"params": {"fields": "all"}},
        {"paging": {"page": {"param": "page", "size_param": "per_page", "size": 100}}},
    ],
)
def test_another_way_of_asking_keeps_all_but_the_place_among_pages(changes: dict[str, Any]) -> None:
    found = change(with_parts(**changes))
    assert found.fit == Fit(place=False)
    assert not found.anew
    assert "begins its window anew" in found.words[0]


def test_another_address_is_another_place() -> None:
    found = difference(manifest(base_url="https://new.example.com"))
    assert [each.fit for each in found.streams] == [Fit(place=False)]
    assert found.words == ("It lives at https://new.example.com, and not at https://ours.example.com.",)


def test_versions_of_another_field_are_not_compared_with() -> None:
    found = change(with_parts(version="rev"))
    assert (found.fit.version, found.anew) == (False, False)


def test_another_list_of_deletes_has_another_cursor() -> None:
    def listing(field: str) -> Manifest:
        listed = {
            "path": "/gone",
            "records": "",
            "key": "id",
            "incremental": {"field": field, "param": "since"},
        }
        return with_parts(deletes={"tombstones": listed})

    found = change(listing("gone_at"), listing("deleted_at"))
    assert (found.fit.deletes, found.anew) == (False, False)


def test_what_only_shows_records_differently_costs_nothing() -> None:
    found = change(with_parts(columns={"price": "number"}, volatile=["seen"]))
    assert found.fit == Fit()
    assert len(found.words) == 2


def test_streams_come_and_go() -> None:
    found = difference(manifest(streams={"sites": {"path": "/sites", "records": "", "key": "id"}}))
    assert [(each.stream, each.kind, each.anew) for each in found.streams] == [
        ("parts", "removed", False),
        ("sites", "added", False),
    ]


def test_what_is_lacking_and_what_is_needless_is_named() -> None:
    after = manifest(
        settings={
            "region": {"required": True, "description": "Which."},
            "lane": {"required": True, "default": "a", "description": "Which."},
        },
        secrets={
            "token": {"description": "A token."},
            "spare": {"required": False, "description": "Another."},
        },
    )
    found = difference(after, settings={"old": 1}, secrets={"gone": "env://GONE"})
    assert found.lacking_settings == ("region",)
    assert found.lacking_secrets == ("token",)
    assert (found.needless_settings, found.needless_secrets) == (("old",), ("gone",))


def test_of_a_version_that_nobody_can_read_nothing_is_relied_on() -> None:
    found = compare(None, manifest(), settings={}, secrets={}, streams=["parts", "notes"])
    assert [(each.stream, each.kind, each.anew) for each in found.streams] == [
        ("parts", "changed", True),
        ("notes", "removed", False),
    ]


def test_versions_are_in_the_order_of_their_numbers() -> None:
    versions = ["1.10.0", "1.9.0", "2.0.0-rc.1", "2.0.0", "1.9.0+3fa9c1d2"]
    assert sorted(versions, key=order_of) == ["1.9.0", "1.9.0+3fa9c1d2", "1.10.0", "2.0.0-rc.1", "2.0.0"]
