"""`look_back` in the connections file: bounds of the same kind, the least no more than the most, and back again."""

from typing import Any

import pytest

from scheduler.connections.options.looking_back import file_look_back, parse_look_back
from worker.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"least": "5m", "most": "2d"}, {"least": 300.0, "most": 172_800.0, "of": "time"}),
        ({"most": "1h30m"}, {"most": 5400.0, "of": "time"}),
        ({"least": 50, "most": 5000}, {"least": 50.0, "most": 5000.0, "of": "number"}),
    ],
)
def test_what_is_said_is_kept_and_said_again(given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert parse_look_back(given) == kept
    assert file_look_back(kept) == given


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"least": "2h", "most": "1h"}, "least"),
        ({"least": 5, "most": "1h"}, None),
        ({"most": "400d"}, "most"),
        ({"least": "soon"}, "least"),
    ],
)
def test_bounds_that_do_not_fit_are_refused_by_their_name(given: dict[str, Any], place: str | None) -> None:
    with pytest.raises(InvalidInput, match="look_back") as caught:
        parse_look_back(given)
    assert caught.value.place == place
