"""What has a tap found? Its catalog, kept for an hour beside its environment: each run needs it, and asking takes long.

It holds names and types and no secret, and is found by the tap and its config without secrets.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from worker.errors import NeedsOperator

KEPT = 3600.0


def kept_catalog(home: Path, asked_by: bytes, *, now: float | None = None) -> Any | None:
    """The catalog that was found by the same tap with the same config of late."""
    path = _path(home, asked_by)
    try:
        if (time.time() if now is None else now) - path.stat().st_mtime > KEPT:
            return None
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def keep_catalog(home: Path, asked_by: bytes, found: bytes) -> None:
    """For the next runs. One that can't be kept is found again."""
    path = _path(home, asked_by)
    beside = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside.write_bytes(found)
        beside.replace(path)


def catalog_in(printed: bytes) -> tuple[Any, bytes]:
    """The catalog that `--discover` printed, and its bytes; lines that some print before it are overlooked."""
    for begin in (0, printed.find(b"\n{") + 1):
        with suppress(ValueError):
            return json.loads(printed[begin:]), printed[begin:]
    message = "The tap printed no catalog when it was asked what there is (`--discover`)."
    hint = "A tap that finds nothing by itself: `catalog: none` in `describe.singer`."
    raise NeedsOperator("tap_speaks_otherwise", message, hint=hint)


def _path(home: Path, asked_by: bytes) -> Path:
    return home / "taps" / "catalogs" / f"{hashlib.sha256(asked_by).hexdigest()[:32]}.json"
