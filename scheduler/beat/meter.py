"""Were changes missed by webhooks, and may a stream be asked less often because none is?

What a poll found untold is judged when a webhook that is only slow has had its time. Where nobody of us was there to hear one
it is no miss of the system's, and counted apart. With `poll: adaptive` a stream whose webhooks tell of everything is asked
less and less often, up to a few times its interval; a miss brings it back at once, whoever is to blame.
Emits: webhooks_missed, poll_stretched.
"""

from collections import Counter
from collections.abc import Mapping

import structlog

from worker.db.queries import sql
from worker.engine.events.meter import TOLERANCE
from worker.runs.alive import EVERY
from worker.services import Services

log = structlog.get_logger()

GRACE = 120.0
"""Seconds after which a webhook counts as missed."""
BEAT = 3 * EVERY
"""So long an API that was seen and didn't say that it leaves is taken to be there."""
BATCH = 5000
MOST = 8.0
"""So many times its interval a stream is left alone at most."""
STEP = 1.5
REST = 600.0
"""Seconds between two steps."""
ENOUGH = 20
"""Changes that webhooks told of in two days: fewer prove nothing."""
HEALTHY = 0.005
"""Up to this share of changes may have been missed in two days."""
SICK = 0.05


def judge_misses(services: Services) -> None:
    """Count what was missed, and let streams be asked as often as that wants."""
    missed: Counter[int] = Counter()
    unheard: Counter[int] = Counter()
    asked = {"grace": GRACE, "batch": BATCH, "tolerance": TOLERANCE, "beat": BEAT}
    while rows := services.database.all(sql.judge_untold, asked):
        for row in rows:
            missed[row["stream_id"]] += row["missed"]
            unheard[row["stream_id"]] += row["unheard"]
    untold = missed + unheard
    if untold:
        log.info("webhooks_missed", changes=missed.total(), unheard=unheard.total(), streams=len(untold))
    _adapt(services, untold)


def _adapt(services: Services, just_missed: Mapping[int, int]) -> None:
    changed: dict[int, float] = {}
    for row in services.database.all(sql.adaptive_streams, {"rest": REST}):
        found = stretch(
            row["stretch"],
            told=row["told"],
            missed=row["missed"],
            just_missed=just_missed.get(row["id"], 0),
            rested=row["rested"],
        )
        if found != row["stretch"]:
            changed[row["id"]] = found
    if changed:
        asked = {"streams": list(changed), "stretches": list(changed.values())}
        services.database.run(sql.stretch_streams, asked)
        log.info("poll_stretched", streams=len(changed))


def stretch(now: float, *, told: int, missed: int, just_missed: int, rested: bool) -> float:
    """By how much the interval is stretched from here on. Pure.

    `told` and `missed` are of two days; `rested`: the last step is some time ago.
    """
    share = missed / (told + missed) if told + missed else 0.0
    if share > SICK:
        return 1.0
    if just_missed:
        return max(1.0, now / 2)
    if told < ENOUGH or share > HEALTHY or not rested:
        return now
    return min(MOST, now * STEP)
