"""Answers that were recorded from a real account, scrubbed, as files beside a manifest.

`<system>/recorded/<stream>.json`, `<stream>-2.json` … are the pages of a stream in their order, `<stream>.single.json` one
record asked for by its key. Each holds one exchange:

    {"request":  {"method": "GET", "url": "https://…", "headers": {}, "body": null},
     "response": {"status": 200, "headers": {}, "body": …}}

A body is JSON as it is, or text. Secrets are not in it.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.connectors.contract import Response
from worker.errors import InvalidInput

FOLDER = "recorded"
_NAME = re.compile(r"(?P<stream>[a-z0-9_]+?)(-(?P<number>[0-9]+))?(?P<single>\.single)?\.json")


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange."""

    path: Path
    stream: str
    number: int
    single: bool
    request: dict[str, Any]
    response: Response

    @property
    def words(self) -> str:
        """The request, for people."""
        return f"{self.request.get('method', 'GET')} {self.request.get('url', '')} ({self.path.name})"

    @staticmethod
    def decoded(raw: bytes) -> Any:
        """A record as JSON."""
        return json.loads(raw)


def recordings(folder: Path, streams: Collection[str]) -> dict[str, list[Recording]]:
    """The recorded pages of each stream that has some, in their order."""
    found: dict[str, list[Recording]] = {}
    for path in sorted((folder / FOLDER).glob("*.json")):
        recording = read_recording(path)
        if recording.stream in streams and not recording.single:
            found.setdefault(recording.stream, []).append(recording)
    for several in found.values():
        several.sort(key=lambda each: each.number)
    return found


def read_recording(path: Path) -> Recording:
    """One file; `InvalidInput` where it is none."""
    named = _NAME.fullmatch(path.name)
    try:
        data = json.loads(path.read_bytes())
        request, response = data["request"], data["response"]
        body = response["body"]
        content = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
        headers = {name.lower(): value for name, value in response.get("headers", {}).items()}
        answer = Response(response["status"], headers, content, request["url"])
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        message = f"It is no recorded exchange: {type(exc).__name__} {exc}."
        raise InvalidInput("bad_recording", message, place=str(path)) from None
    if named is None:
        message = "A recording is called <stream>.json, <stream>-2.json or <stream>.single.json."
        raise InvalidInput("bad_recording", message, place=str(path))
    number = int(named["number"] or 1)
    return Recording(path, named["stream"], number, named["single"] is not None, request, answer)
