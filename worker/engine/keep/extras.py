"""What is written along with a page's records, in the same transaction?"""

from collections.abc import Sequence

from worker.engine.keep.versions import Versions
from worker.engine.loading.load import Extra
from worker.engine.port import Engine
from worker.runs.claim import Run


def extras_of(engine: Engine, run: Run) -> Sequence[Extra]:
    """The extras of the run's stream: most have none."""
    del engine
    return (Versions(),) if run.options.get("keep_versions") else ()
