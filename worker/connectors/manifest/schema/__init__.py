"""The published JSON Schema of manifests, put together from the files beside this one: each holds `$defs` of one matter."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_WHOLE = _HERE / "manifest.json"


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The whole schema: what the file holds, and the `$defs` that it refers to."""
    whole: dict[str, Any] = json.loads(_WHOLE.read_text())
    defs: dict[str, Any] = {}
    for part in sorted(_HERE.glob("*.json")):
        if part != _WHOLE:
            defs |= json.loads(part.read_text())
    return {**whole, "$defs": defs}
