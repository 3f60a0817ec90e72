"""What of a page may be kept? Screens stand between what was read and everything that stores, counts or logs it.

Most streams have none, and pay nothing. What was erased goes first: its fields are nobody's business any more.
"""

from collections.abc import Callable, Sequence

from worker.connectors.contract import Page
from worker.db.queries import sql
from worker.engine.keep.digests import privacy_key
from worker.engine.keep.erasures import erasure_screen
from worker.engine.keep.privacy import FieldScreen, rules_of
from worker.engine.port import Engine
from worker.runs.claim import Run

Screen = Callable[[Page], Page]


def screens_of(engine: Engine, run: Run) -> Sequence[Screen]:
    """The screens of the run's stream, in their order."""
    rules = rules_of(run.options)
    if not rules and not run.erased:
        return ()
    screens: list[Screen] = []
    if run.erased:
        rows = engine.database.all(sql.erasures_of, {"stream": run.stream_id})
        screens.append(erasure_screen(run.stream_id, privacy_key(engine.settings), rows))
    if rules:
        stream = engine.registry.get(run.system, run.manifest_version).bind(run.settings).stream(run.stream)
        digest = privacy_key(engine.settings).of_value if run.options.get("hash") else str
        screens.append(FieldScreen(rules, digest, stream.digest))
    return screens
