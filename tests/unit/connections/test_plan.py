"""What would become of the rows? Three-way: the file's last word, the row, the file now."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.connections.current import CurrentConnection, CurrentStream
from scheduler.connections.file import Desired, DesiredConnection, DesiredStream, Problems
from scheduler.connections.options.windows import parse_windows
from scheduler.connections.plan import Plan, make_plan, plan_json, plan_lines
from scheduler.connections.plan.compare import GROUPS
from scheduler.connections.plan.merge import ABSENT, FieldChange, merge, same, unflatten
from scheduler.connections.plan.wording import field_words

keys = st.sampled_from([("name",), ("tenant",), ("labels", "a"), ("labels", "b.c"), ("settings", "x")])
values = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["x", "y"])
fields = st.dictionaries(keys, values)


class TestMerging:
    @given(fields, fields, fields, st.booleans())
    def test_each_field_follows_the_rule(
        self, current: dict[Any, Any], applied: dict[Any, Any], desired: dict[Any, Any], overwrite: bool
    ) -> None:
        merged = merge(current, applied, desired, overwrite=overwrite)
        for key in {*current, *applied, *desired}:
            now, last, wanted = (side.get(key, ABSENT) for side in (current, applied, desired))
            becomes = merged.fields.get(key, ABSENT)
            drifted = not overwrite and not same(now, last) and not same(now, wanted)
            assert same(becomes, now if drifted else wanted)
            assert (key in {change.key for change in merged.drift}) is drifted

    @given(fields, fields, fields, st.booleans())
    def test_a_second_time_changes_nothing(
        self, current: dict[Any, Any], applied: dict[Any, Any], desired: dict[Any, Any], overwrite: bool
    ) -> None:
        first = merge(current, applied, desired, overwrite=overwrite)
        second = merge(first.fields, first.applied, desired, overwrite=overwrite)
        assert second.changes == ()
        assert (second.fields, second.applied) == (first.fields, first.applied)
        assert [change.key for change in second.drift] == [change.key for change in first.drift]

    @given(fields, fields, fields)
    def test_overwriting_leaves_what_the_file_says_and_no_drift(
        self, current: dict[Any, Any], applied: dict[Any, Any], desired: dict[Any, Any]
    ) -> None:
        merged = merge(current, applied, desired, overwrite=True)
        assert same(unflatten(merged.fields, groups=GROUPS), unflatten(desired, groups=GROUPS))
        assert merged.drift == ()

    @pytest.mark.parametrize(
        ("one", "other", "equal"),
        [(1, 1.0, True), (1, True, False), (0, False, False), ([1], [True], False), ({"a": 1}, {"a": 1.0}, True),
         ({"a": None}, {}, False), (None, ABSENT, False), ("1", 1, False)],
    )  # fmt: skip
    def test_values_are_equal_as_json_is(self, one: Any, other: Any, equal: bool) -> None:
        assert same(one, other) is equal
        assert same(other, one) is equal


def desired(**fields: Any) -> DesiredConnection:
    complete: dict[str, Any] = {
        "file_id": "a",
        "environment": "live",
        "name": "A",
        "system": "demo",
        "tenant": None,
        "labels": {},
        "settings": {"base_url": "http://x"},
        "secrets": {"token": "env://TOKEN"},
        "budget": None,
        "streams": (DesiredStream("parts", {"every": 900}, 90, enabled=True),),
        "place": "c.yaml:3",
    }
    return DesiredConnection(**complete | fields)


def current(wanted: DesiredConnection | None = None, number: int = 1, **fields: Any) -> CurrentConnection:
    """The row as an apply of `wanted` leaves it."""
    wanted = wanted or desired()
    planned = make_plan(Desired("c.yaml", [wanted]), []).connections[0]
    streams = tuple(
        CurrentStream(number * 10 + n, s.name, 0, s.enabled, s.schedule, s.history_days, None)
        for n, s in enumerate(planned.streams)
    )
    row = CurrentConnection(
        number, wanted.file_id, wanted.environment, wanted.name, wanted.system, wanted.tenant, wanted.labels,
        wanted.settings, wanted.secrets, wanted.budget, planned.applied, paused=False, streams=streams,
    )  # fmt: skip
    return replace(row, **fields)


def plan(wanted: list[DesiredConnection], rows: list[CurrentConnection], **flags: bool) -> Plan:
    return make_plan(Desired("c.yaml", wanted), rows, **flags)


def with_stream(row: CurrentConnection, **fields: Any) -> CurrentConnection:
    return replace(row, streams=(replace(row.streams[0], **fields),))


class TestComparing:
    def test_what_is_as_the_file_says_is_no_change(self) -> None:
        made = plan([desired()], [current()])
        assert made.changes == ()
        assert not made.connections[0].touched
        assert not made.connections[0].streams[0].touched
        assert plan_lines(made) == ["Nothing to change."]

    @pytest.mark.parametrize(
        ("before", "after", "kind"),
        [(90, None, "re-fetched"), (90, 91, "re-fetched"), (90, 30, "changed"), (None, 90, "changed")],
    )
    def test_only_a_longer_history_is_fetched_again(
        self, before: int | None, after: int | None, kind: str
    ) -> None:
        was, wants = (
            desired(streams=(DesiredStream("parts", {"every": 900}, days, enabled=True),))
            for days in (before, after)
        )
        made = plan([wants], [current(was)])
        assert [change.kind for change in made.changes] == [kind]
        planned = made.connections[0].streams[0]
        assert planned.extends_history is (kind == "re-fetched")
        assert planned.shortens_history is (kind == "changed")
        said = "nothing is read for it" if kind == "changed" else "only the time that is missing"
        assert said in made.changes[0].note

    def test_a_drifted_history_is_not_fetched_again(self) -> None:
        wants = desired(streams=(DesiredStream("parts", {"every": 900}, None, enabled=True),))
        made = plan([wants], [with_stream(current(), history_days=30)])
        assert [change.kind for change in made.changes] == ["drift"]
        assert not made.connections[0].streams[0].touched

    def test_a_stream_that_the_system_gained_is_created(self) -> None:
        more = (*desired().streams, DesiredStream("sites", {"every": 900}, 90, enabled=True))
        made = plan([desired(streams=more)], [current()])
        assert [(change.kind, change.stream) for change in made.changes] == [("created", "sites")]

    def test_a_stream_that_the_system_lost_is_switched_off_and_comes_back_by_itself(self) -> None:
        lost = plan([desired(streams=())], [current()])
        assert [(change.kind, change.stream) for change in lost.changes] == [("switched off", "parts")]
        row = with_stream(replace(current(), applied=lost.connections[0].applied), enabled=False)
        again = plan([desired(streams=())], [row])
        assert again.changes == ()
        assert not again.connections[0].touched
        back = plan([desired()], [row])
        assert [(change.kind, change.stream) for change in back.changes] == [("switched on", "parts")]

    def test_an_absent_connection_is_pruned_only_if_a_file_made_it(self) -> None:
        rows = [current(number=1), current(desired(file_id="b", name="B"), number=2), current(
            desired(file_id="c", name="C"), number=3, file_id=None, applied=None)]  # fmt: skip
        assert [(c.kind, c.connection) for c in plan([desired()], rows).changes] == [("left alone", "B")]
        assert [row.id for row in plan([desired()], rows, prune=True).deletions] == [2]

    def test_a_name_set_free_by_prune_can_be_taken(self) -> None:
        rows = [current(desired(file_id="old", name="A"))]
        with pytest.raises(Problems, match="belongs to another"):
            plan([desired(file_id="new", name="A")], rows)
        made = plan([desired(file_id="new", name="A")], rows, prune=True)
        assert [change.kind for change in made.changes] == ["created", "deleted"]

    def test_a_name_that_drifted_onto_another_is_told(self) -> None:
        """The first was renamed by hand and keeps that name, which the second now wants."""
        rows = [current(name="B")]
        with pytest.raises(Problems, match="belongs to another"):
            plan([desired(), desired(file_id="b", name="B")], rows)

    def test_no_history_is_said_at_the_creation(self) -> None:
        assert "90 days" in plan([desired(history_by_default=True)], []).notes[0]
        assert plan([desired(history_by_default=True)], [current()]).notes == ()


class TestWording:
    def test_a_plan_reads_like_this(self) -> None:
        wants = desired(
            name="North",
            labels={"region": "eu"},
            secrets={"token": "file:///x"},
            streams=(
                DesiredStream(
                    "parts", {"every": 86400, "at": "02:00", "timezone": "Europe/Berlin"}, None, True
                ),
            ),
        )
        rows = [current(), replace(current(desired(file_id="old", name="Old"), number=2), records=12345)]
        assert plan_lines(plan([wants], rows, prune=True)) == [
            "~ North (live): changed labels.region: not set -> eu, name: A -> North, secrets.token: env://TOKEN -> file:///x",
            "~ North / parts (live): re-fetched history: 90d -> all; only the time that is missing is read",
            "~ North / parts (live): changed schedule: every 15m -> every 1d at 02:00 Europe/Berlin",
            "- Old (live): deleted with 12,345 records",
            "2 changed, 1 re-fetched, 1 deleted. Nothing was changed yet.",
        ]

    def test_what_sounds_like_a_secret_is_masked_wherever_it_came_from(self) -> None:
        row = current(
            settings={
                "base_url": "http://u:planted@x",
                "api_key": "planted",
                "nested": {"password": "planted"},
            }
        )
        made = plan([desired(settings={"base_url": "http://y"})], [row], overwrite=True)
        assert made.changes_something
        assert "planted" not in f"{plan_lines(made)} {plan_json(made)}"


def test_options_are_told_in_the_words_of_the_file() -> None:
    kept = FieldChange(("options", "keep_versions"), ABSENT, 90 * 86400.0)
    assert field_words(kept) == "keep_versions: not set -> 90d"
    night = parse_windows({"allow": [{"days": "mon-fri", "from": "18:00", "to": "06:00"}]})
    assert (
        field_words(FieldChange(("options", "windows"), ABSENT, night))
        == "windows: not set -> mon-fri 18:00-06:00, UTC"
    )


def test_of_a_long_description_the_places_that_differ_are_named() -> None:
    before = {"auth": {"none": {}}, "streams": {"parts": {"path": "/parts", "key": "id"}, "sites": {}}}
    after = {"auth": {"none": {}}, "streams": {"parts": {"path": "/parts", "key": ["id", "no"]}, "bins": {}}}
    row = current(desired(system="rest", settings={"base_url": "http://x", "describe": before}))
    made = plan([desired(system="rest", settings={"base_url": "http://x", "describe": after})], [row])
    [line] = plan_lines(made)[:1]
    assert "settings.describe: streams.bins added, streams.parts.key, streams.sites removed;" in line
