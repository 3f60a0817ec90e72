"""A beat stops in the middle of its work, and its process is still there: the other goes on, and says so."""

import pytest
from servers.installation.plant import Plant
from servers.waiting import wait_until

from scheduler.beat.others import SILENT_AFTER

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_beat_that_was_stopped_is_noticed_and_does_its_part_again_once_it_goes_on(plant: Plant) -> None:
    stack = plant.stack
    stack.start("beat-2")
    stack.freeze("beat-1")
    try:
        plant.connect()
        stack.wait_until_idle()  # everything is dispatched by the other
        wait_until(lambda: stack.events("beat-2", "beat_silent"), what="the alarm", timeout=SILENT_AFTER + 30)
        (told,) = stack.events("beat-2", "beat_silent")
        assert told["beat"].endswith(f":{stack.parts['beat-1'].child.pid}")
    finally:
        stack.thaw("beat-1")
    wait_until(
        lambda: stack.one(
            "SELECT bool_and(ticked_at > now() - interval '10 s') AS well FROM processes WHERE kind = 'beat'"
        )["well"],
        what="both at work",
        timeout=30,
    )
