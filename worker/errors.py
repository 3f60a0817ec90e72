"""What can go wrong, by what we do next.

HeadraceError
├── Transient        try the run again with backoff            time-out, reset, 5xx
│   └── Throttled    the sender turns it into a RateLimited    "too many requests", in a system's own words
├── RateLimited      give the run back until `resume_at`       429, our own budget; spends no attempt
├── NotNow           give the run back until `resume_at`       the plant's window is closed, a parent's run comes first
├── NeedsOperator    stop this stream's run, a person must act 401/403, unknown stream, unresolved secret
│   ├── AuthExpired  log in anew and ask once more             "session expired", in a system's own words
│   └── NotThere     of one record that was asked for: gone    "not found", in a system's own words
├── LostLease        stop quietly; another worker has the run
├── Cancelled        stop at this page; somebody asked for it
├── Draining         give the run back at once; this worker is shutting down
│   └── SliceEnded   the run has had its turn; others go first
├── BadRecord        set the record aside, go on               one record that can't be taken
└── InvalidInput     refuse what a person or program gave us   file, flag, API body; names the place
    └── NotFound     it named something that isn't there

Every error has a stable `code`, a sentence that says what was wrong and where, and, where there is one, `hint`: what
to do next. The words may be shown to people and stored, so no secret may be in them.
"""

from datetime import datetime
from typing import Literal

OF_THIS_ALONE = frozenset({"request_refused", "invalid_request", "conflict", "not_found"})
"""Codes by which a system says something of what was asked, and of nothing else."""
OF_ONE_RECORD = OF_THIS_ALONE | {"page_too_large"}
"""The same where one record was asked for: there is nothing smaller to ask for."""


class HeadraceError(Exception):
    """The root. `code` is stable and snake_case; `hint` says what to do."""

    by_rule = False
    """A rule of the system's manifest names the status of this very answer, which means nothing else then."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


class Transient(HeadraceError):
    """It may well work later: the run is tried again with backoff, which spends an attempt."""


class Throttled(Transient):
    """The system is asked too often, and knows for how many seconds, or doesn't say. Who sends makes a wait of it."""

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__("throttled", message)
        self.seconds = seconds


class RateLimited(HeadraceError):
    """Somebody told us to wait until `resume_at` (UTC). Being told to wait is no failure."""

    def __init__(self, code: str, message: str, *, resume_at: datetime) -> None:
        super().__init__(code, message)
        self.resume_at = resume_at


class NotNow(HeadraceError):
    """The run may go on at `resume_at` (UTC) and not before; `reason` says what it waits for. That is no failure."""

    def __init__(
        self, code: str, message: str, *, resume_at: datetime, reason: Literal["window", "parent"]
    ) -> None:
        super().__init__(code, message)
        self.resume_at = resume_at
        self.reason: Literal["window", "parent"] = reason


class NeedsOperator(HeadraceError):
    """Trying again won't help until a person changes something."""


class AuthExpired(NeedsOperator):
    """The system knows our token or session no longer, and doesn't say it by 401. Who sends logs in anew, once."""


class NotThere(NeedsOperator):
    """What was asked for isn't there, as the system says in words of its own. Of one record that means that it is gone."""


class LostLease(HeadraceError):
    """The run belongs to a later claim, or to nobody: nothing more may be written for it."""

    def __init__(self, run_id: object) -> None:
        super().__init__("lost_lease", f"Run {run_id} is no longer ours.")


class Cancelled(HeadraceError):
    """Somebody cancelled the run; what was committed stays."""

    def __init__(self, run_id: object) -> None:
        super().__init__("cancelled", f"Run {run_id} was cancelled.")


class Draining(HeadraceError):
    """The run goes back to the queue at a page boundary, spending nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__("draining", reason)


class SliceEnded(Draining):
    """A long run has had its turn, and goes on after others had theirs."""


class BadRecord(HeadraceError):
    """One record that can't be taken. Its page goes on without it."""


class InvalidInput(HeadraceError):
    """What we were given is wrong. `place` is `file:line` or a field's path."""

    def __init__(self, code: str, message: str, *, place: str | None = None, hint: str | None = None) -> None:
        super().__init__(code, message, hint=hint)
        self.place = place

    def __str__(self) -> str:
        text = super().__str__()
        return f"{self.place}: {text}" if self.place else text


class NotFound(InvalidInput):
    """The name or id given belongs to nothing."""
