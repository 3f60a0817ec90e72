"""How does a file that only we may read come into being?

Never readable by others for even a moment, and never half-written: made beside its place with 0600, then renamed.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def make_private_folder(folder: Path) -> Path:
    """Make the folder (0700) where there is none. One that exists is left as its owner made it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        from worker.errors import NeedsOperator  # noqa: PLC0415 - the demo system writes files, and loads nothing of the worker

        raise NeedsOperator(
            "folder_unusable",
            f"The folder {folder} can't be made: {exc.strerror}.",
            hint="Set HEADRACE_HOME to a folder that you may write to.",
        ) from None
    return folder


def write_private(path: Path, text: str) -> None:
    """Replace the file at once, readable by nobody else."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def read_or_none(path: Path) -> str | None:
    """The file's text without the space around it, or None where there is no text."""
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def kept_password(path: Path) -> str:
    """The password kept there; a new one is made and kept if there is none. Safe in a URL as it is."""
    return kept_text(path, make=lambda: secrets.token_urlsafe(24))


def kept_text(path: Path, *, make: Callable[[], str], good: Callable[[str], bool] = bool) -> str:
    """The text kept there; where there is none that is good, one is made and kept."""
    found = read_or_none(path)
    if found is None or not good(found):
        found = make()
        write_private(path, found + "\n")
    return found
