"""What is a claimed run, while it is worked on?"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from worker.connectors.contract import Page, Source, StreamTraits
from worker.engine.admission.company import wait_for_others
from worker.engine.admission.opening import keep_to_windows
from worker.engine.events.meter import MissMeter
from worker.engine.keep.screens import Screen
from worker.engine.loading.load import Extra, Loaded, Loader, Note, Observed
from worker.engine.planning.plan import Checkpoint
from worker.engine.port import Engine
from worker.engine.watching.cursor import CursorWatch
from worker.engine.watching.drift import note_fields
from worker.errors import SliceEnded
from worker.http.sender import CallContext
from worker.runs.claim import Run
from worker.runs.finish import Failure
from worker.runs.leases import Held
from worker.runs.states import is_bulk
from worker.telemetry.steps import Steps

log = structlog.get_logger()


@dataclass(slots=True)
class Job:
    """A claimed run and what it needs. Emits: run_started, pages_loaded."""

    run: Run
    held: Held
    steps: Steps
    rejected: int
    turn_ends: float = math.inf
    """By the process' own clock: then long work lets others go first."""
    pages: int = 0
    """Committed in this claim."""
    read: int = 0
    """Records read in this claim."""
    screens: Sequence[Screen] = ()
    """What every page goes through before anything of it is kept."""
    extras: Sequence[Extra] = ()
    """What is written along with its records."""
    notes: Sequence[Note] = ()
    """What else its commits mean."""
    authoritative: bool = False
    """What it reads counts whatever its version: somebody asked for it to be read again."""
    let_go: int = 0
    """Deletes in this claim that nobody told of in so many words (`deletes/families`)."""
    found: bool = False
    """The system has shown a record in this claim."""
    held_back: Failure | None = None
    """Why deletes wait for a person."""
    watch: CursorWatch | None = None
    """Told of what was loaded, where the stream's cursor is at stake."""
    meter: MissMeter | None = None
    """Told of what was written, where webhooks should have told of it."""
    loader: Loader | None = field(default=None, repr=False)
    """Made for the first page that has something to load: most runs have none."""

    def begin(self, engine: Engine, traits: StreamTraits) -> None:
        """Before the first page: wait where others come first, and stay where the work can't be handed on."""
        wait_for_others(engine.database, self.run, traits.at_once)
        if traits.unbroken:
            self.turn_ends = math.inf
            self.held.stay()

    def check(self) -> None:
        """Between two pages: raise where the run isn't ours any more, or must wait. What is committed stays."""
        self.held.check()
        keep_to_windows(self.run, self.run.now())

    def give_way(self) -> None:
        """The same, and raise where others have waited long enough for a run that is long work."""
        self.check()
        if is_bulk(self.run.track, self.run.lane) and time.monotonic() > self.turn_ends:
            raise SliceEnded("This turn is used up; the run goes on after others had theirs.")

    def screened(self, page: Page) -> Page:
        """The page as it may be kept."""
        for screen in self.screens:
            page = screen(page)
        return page

    def load(self, engine: Engine, pages: Sequence[Observed], checkpoint: Checkpoint) -> Loaded:
        """Commit consecutive pages together, with the cursor that follows from the last."""
        count = sum(len(seen.page.records) for seen in pages)
        if self.loader is None:
            log.info("run_started", track=self.run.track, claim=self.run.claim_no)
            self.loader = Loader(
                engine.database,
                self.run,
                lease=engine.settings.lease,
                authoritative=self.authoritative,
                extras=self.extras,
                notes=self.notes,
            )
        with self.steps.step("load", records=count):
            loaded = self.loader.load_pages(pages, checkpoint)
        if loaded.created or loaded.updated:  # what is unchanged has the fields that it had
            for seen in pages:
                note_fields(engine.database, self.run, seen.page)
        if self.watch is not None:
            self.watch.loaded([seen.page for seen in pages], loaded.written)
        if self.meter is not None and loaded.written:
            self.meter.wrote(loaded.written)
        self.rejected += loaded.rejected
        self.pages += len(pages)
        self.read += count + sum(len(seen.page.rejected) + len(seen.page.gone) for seen in pages)
        log.debug(
            "pages_loaded",
            pages=len(pages),
            records=count,
            created=loaded.created,
            updated=loaded.updated,
            deleted=loaded.deleted,
            rejected=loaded.rejected,
        )
        return loaded

    def context(self, source: Source) -> CallContext:
        """For what it asks the system."""
        run = self.run
        return CallContext(
            connection_id=run.connection_id,
            account=run.account,
            lane=run.lane,
            source=source,
            secrets=run.secrets,
            request_id=run.request_id,
            steps=self.steps,
            stream=run.stream,
            environment=run.environment,
            network=run.network,
            settings=run.settings,
        )
