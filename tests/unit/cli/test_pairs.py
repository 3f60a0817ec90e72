"""What was given as NAME=VALUE?"""

import pytest
import typer

from scheduler.cli.pairs import pairs


def test_a_value_may_hold_what_stands_between() -> None:
    assert pairs(["a=1=2", "b="], "--setting") == {"a": "1=2", "b": ""}
    assert pairs(None, "--setting") == {}


@pytest.mark.parametrize("given", [["s3cret"], ["=s3cret"], ["a=s3cret", "a=s3cret"]])
def test_what_is_wrong_is_told_without_repeating_it(given: list[str]) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        pairs(given, "--secret", "REFERENCE")
    assert "s3cret" not in str(caught.value)
    assert "--secret" in str(caught.value)
