"""What do a worker process and whoever started it tell each other: that it stands, and with which code it ends."""

import signal

STANDS = signal.SIGUSR1
"""Sent to the supervisor by a process that serves its queues."""

RECYCLED = 75
"""It grew past its memory bound and drained: start another at once."""
HUNG = 76
"""One of its runs hung, and the others were drained or given back."""
UNDRAINED = 77
"""It was told to stop, and a run did not come to an end of its page in time: that run was given back from outside."""
CUT_OFF = 78
"""Postgres was away: what a process was alone with, it could neither end nor give back."""

_WORDS = {
    0: "it ended by itself",
    RECYCLED: "it had grown past its memory bound",
    HUNG: "one of its runs hung",
    UNDRAINED: "a run took longer than a stop may",
    CUT_OFF: "Postgres was away",
}


def exit_words(code: int) -> str:
    """An exit code, as a person reads it."""
    if code >= 0:
        return _WORDS.get(code, f"exit code {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name} (out of memory?)" if name == "SIGKILL" else name
