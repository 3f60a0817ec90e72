"""How is a tap started, read and ended? As a program under its keeper, told of nothing but what it needs.

The pipe on the keeper's standard input is what the tap lives by: closed by us, or by our end, it ends the tap, whatever
the tap has started, and its folders (`keeper`). Reading has a time-out everywhere, so a tap that holds its tongue is seen.
"""

import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.taps.environments import network_variables
from worker.taps.folders import Folders

KEEPER = Path(__file__).with_name("keeper.py")
ENDS_WITHIN = 5.0
PATHS = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a tap may take; 0: as much as it likes."""

    memory: int = 0
    """Megabytes of address space."""
    cpu: int = 0
    """Seconds of a processor."""


class TapProcess:
    """A tap that runs. One thread reads what it writes; any may end it."""

    def __init__(
        self, command: Sequence[str], folders: Folders, bounds: Bounds, environ: Mapping[str, str]
    ) -> None:
        self.folders = folders
        keeper = [
            sys.executable,
            "-I",
            "-S",
            str(KEEPER),
            str(folders.lock),
            str(bounds.memory),
            str(bounds.cpu),
        ]
        try:
            self._keeper = subprocess.Popen(
                [*keeper, f"{folders.private}:{folders.work}", "--", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folders.work,
                env=variables(environ, folders, Path(command[0])),
                pass_fds=[folders.lock],
                start_new_session=True,
            )
        except OSError:
            folders.remove()
            raise
        finally:
            os.close(folders.lock)  # the keeper's alone from here on

    @property
    def pid(self) -> int:
        """The keeper's."""
        return self._keeper.pid

    def read(self, most: int, *, timeout: float) -> tuple[bytes | None, bytes | None]:
        """What came on standard output and error by then; empty: it is closed; None: nothing came."""
        out, err = self._keeper.stdout, self._keeper.stderr
        assert out is not None and err is not None  # noqa: S101, PT018 - asked for above
        ends = select.poll()  # `select` takes no descriptor beyond 1023
        open_ends = {end.fileno(): end for end in (out, err) if not end.closed}
        for number in open_ends:
            ends.register(number, select.POLLIN | select.POLLHUP)
        ready = {number for number, _ in ends.poll(timeout * 1000)}
        pieces: list[bytes | None] = []
        for end in (out, err):
            if end.closed:
                pieces.append(b"")
            elif end.fileno() in ready:
                piece = os.read(end.fileno(), most)
                if not piece:
                    end.close()
                pieces.append(piece)
            else:
                pieces.append(None)
        return pieces[0], pieces[1]

    def code(self) -> int | None:
        """With what it ended; None: it runs."""
        return self._keeper.poll()

    def ended(self, within: float = ENDS_WITHIN) -> int:
        """Its code, once it has ended; it is ended where that takes too long."""
        with suppress(subprocess.TimeoutExpired):
            return self._keeper.wait(within)
        self.kill()
        return self._keeper.wait()

    def kill(self) -> None:
        """End it, and all that it started. Harmless twice."""
        keeper = self._keeper
        if keeper.stdin is not None:
            with suppress(OSError):
                keeper.stdin.close()
        try:
            keeper.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            keeper.kill()  # its child goes with it
            keeper.wait()
        for end in (keeper.stdout, keeper.stderr):
            if end is not None:
                with suppress(OSError):
                    end.close()
        self.folders.remove()


def variables(environ: Mapping[str, str], folders: Folders, program: Path) -> dict[str, str]:
    """The tap's environment: where programs are, a home that goes with it, and this machine's proxies."""
    return {
        "PATH": f"{program.parent}:{PATHS}",
        "HOME": str(folders.work),
        "TMPDIR": str(folders.work),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        **network_variables(environ),
    }
