"""What came with a release doesn't change under the version that connections are pinned to."""

from worker.connectors.registry.digests import changed_in_place, current, noted, together


def test_no_system_of_the_catalogue_changed_without_another_version() -> None:
    assert changed_in_place(noted(), current()) == [], "Raise `version` in the manifest."


def test_every_system_of_the_catalogue_would_be_noted_with_its_version() -> None:
    found = current()
    assert {"demo", "tryton"} <= found.keys()
    assert all(len(digest) == 64 for versions in found.values() for digest in versions.values())


def test_a_change_in_place_is_seen_and_a_new_version_is_none() -> None:
    before = {"ours": {"1.0.0": "a"}}
    assert changed_in_place(before, {"ours": {"1.0.0": "b"}}) == ["ours 1.0.0"]
    assert changed_in_place(before, {"ours": {"1.1.0": "b"}, "theirs": {"1.0.0": "c"}}) == []


def test_what_was_released_stays_noted() -> None:
    now = {"ours": {"1.1.0": "b"}, "theirs": {"1.0.0": "c"}}
    assert together({"ours": {"1.0.0": "a"}}, now) == {
        "ours": {"1.0.0": "a", "1.1.0": "b"},
        "theirs": {"1.0.0": "c"},
    }
