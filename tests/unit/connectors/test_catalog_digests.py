"""What comes with Headrace doesn't change under the version that connections are pinned to."""

from worker.connectors.registry.digests import changed_in_place, current, not_noted, noted

HOW = (
    "Raise `version` in the manifest, then `make digests`. "
    "(Before it was ever released: `make digests UNRELEASED=--unreleased`.)"
)


def test_no_system_of_the_catalogue_changed_without_another_version() -> None:
    assert changed_in_place(noted(), current()) == [], HOW


def test_every_version_is_noted() -> None:
    assert not_noted(noted(), current()) == [], HOW


def test_a_change_in_place_is_seen_and_a_new_version_is_none() -> None:
    before = {"ours": {"1.0.0": "a"}}
    assert changed_in_place(before, {"ours": {"1.0.0": "b"}}) == ["ours 1.0.0"]
    assert changed_in_place(before, {"ours": {"1.1.0": "b"}}) == []
    assert not_noted(before, {"ours": {"1.1.0": "b"}, "theirs": {"1.0.0": "c"}}) == [
        "ours 1.1.0",
        "theirs 1.0.0",
    ]
