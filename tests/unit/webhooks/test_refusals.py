"""Of what isn't taken a little is kept: enough to mend a webhook, and no more than there is room for."""

from scheduler.webhooks.refusals import KEPT_A_SECOND, MOST_A_SECOND, Sparing, shown_headers


def test_few_of_a_connection_are_kept_in_a_second_so_that_others_find_room() -> None:
    now = [100.2]
    sparing = Sparing(lambda: now[0])
    assert sum(sparing.may_keep(0) for _ in range(50)) == KEPT_A_SECOND
    assert sum(sparing.may_keep(7) for _ in range(50)) == KEPT_A_SECOND, "another has room of its own"
    assert sum(sparing.may_keep(number) for number in range(100, 300)) == MOST_A_SECOND - 2 * KEPT_A_SECOND
    now[0] += 1
    assert sparing.may_keep(0)


def test_headers_are_shown_by_name_and_few_by_value_as_they_can_be_stored() -> None:
    came = [("user-agent", "a\0b" + "x" * 500), ("x-token", "abc"), *((f"x-{n}", "v") for n in range(100))]
    found = shown_headers(came)
    assert len(found) == 50
    assert found["user-agent"].startswith("a\N{REPLACEMENT CHARACTER}b")
    assert len(found["user-agent"]) == 200
    assert {value for name, value in found.items() if name != "user-agent"} == {"…"}
