"""What was typed in vain is looked for again and again, whatever one look meets."""

import asyncio
from typing import Any, cast

import pytest

from scheduler.api.consent import clearing


def test_a_look_that_fails_for_whatever_reason_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def until_looked_twice() -> None:
        looks, twice, loop = [], asyncio.Event(), asyncio.get_running_loop()

        def look(database: Any) -> int:
            looks.append(database)
            if len(looks) == 2:
                loop.call_soon_threadsafe(twice.set)
            raise RuntimeError("nobody has thought of this")

        monkeypatch.setattr(clearing, "clear_left", look)
        monkeypatch.setattr(clearing, "EVERY", 0.0)
        going_on = asyncio.create_task(clearing.clear_for_ever(cast("Any", "a database")))
        await asyncio.wait_for(twice.wait(), 20)
        going_on.cancel()

    asyncio.run(until_looked_twice())
