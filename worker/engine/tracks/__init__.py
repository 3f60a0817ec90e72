"""How is each kind of run carried out? One function a track; it raises what keeps the run from its end."""

from collections.abc import Callable, Mapping

from worker.engine.job import Job
from worker.engine.port import Engine
from worker.engine.tracks.events import follow_events
from worker.engine.tracks.history import read_history
from worker.engine.tracks.records import read_records
from worker.engine.tracks.sweep import sweep_stream
from worker.engine.tracks.verify import verify
from worker.engine.tracks.window import read_window

Track = Callable[[Engine, Job], None]

TRACKS: Mapping[str, Track] = {
    "live": read_window,
    "history": read_history,
    "sweep": sweep_stream,
    "verify": verify,
    "records": read_records,
    "events": follow_events,
}
