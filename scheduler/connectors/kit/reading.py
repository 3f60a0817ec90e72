"""What does a file of OpenAPI hold? JSON or YAML by whoever wrote it, larger than a manifest and with anchors: read as data."""

from pathlib import Path
from typing import Any

import yaml

from worker.errors import InvalidInput

LARGEST = 50 * 1024 * 1024
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_openapi(path: Path) -> dict[str, Any]:
    """The document; `InvalidInput` with the place for what can't be read."""
    try:
        if path.stat().st_size > LARGEST:
            raise InvalidInput(
                "file_too_large", f"The file is larger than {LARGEST >> 20} MB.", place=str(path)
            )
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput("unreadable_file", f"The file can't be read: {exc}.", place=str(path)) from None
    try:
        data = yaml.load(content, Loader=_Loader)  # noqa: S506 - a safe loader, the fast one where it is there
    except (yaml.YAMLError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InvalidInput("bad_yaml", "The file is neither JSON nor YAML.", place=place) from None
    if not isinstance(data, dict):
        raise InvalidInput("not_openapi", "The file holds no OpenAPI document.", place=str(path))
    return data
