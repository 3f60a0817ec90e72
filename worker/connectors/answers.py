"""What does a system mean by this answer? Status and words become a failure that says what we do next. Pure.

429 is worded here as Transient `throttled`; whoever sends knows the clock and makes the wait out of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from worker.connectors.contract import Response
from worker.connectors.reading.seeking import ANY, seek
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.telemetry.redaction import redactor

MAX_WORDS = 300
MOST_SAID = 3
"""Of several errors in one answer, so many are shown."""
MASKED = 16 * 1024
"""So much is searched for secrets before it is cut."""

# Where systems keep their words, most telling first; a manifest's own path comes before these.
_USUAL = ("error.message.value", "error.message", "error_description", "message", "detail", "error", "errors")


_NOT_LET_IN = "Check the connection's secrets, and what its user may read."
_MOVED = "It leads elsewhere: is base_url of the connection another now, or is the path without its last /?"
_REFUSALS = {
    401: ("auth_refused", _NOT_LET_IN),
    403: ("auth_refused", _NOT_LET_IN),
    413: ("page_too_large", "Ask for smaller pages in the connector's manifest."),
}


def failure_of_status(
    status: int, words: str | None = None, *, overrides: Mapping[int, str] | None = None
) -> HeadraceError | None:
    """The failure that a status stands for; None for 2xx. `words` are the system's own."""
    kind = (overrides or {}).get(status)
    if kind is None and 200 <= status < 300:
        return None
    said = f"The system answered {status}" + (f": {clean_words(words)}" if words else ".")
    if kind == "rate_limited" or (kind is None and status == 429):
        return Transient("throttled", said)
    if kind == "transient" or (kind is None and (status in {408, 425} or status >= 500)):
        return Transient("timeout" if status == 504 else "system_error", said)
    code, hint = _REFUSALS.get(
        status, ("redirected", _MOVED) if 300 <= status < 400 else ("request_refused", None)
    )
    return NeedsOperator(code, said, hint=hint)


def words_of(response: Response, paths: Sequence[tuple[str, ...]] = ()) -> str | None:
    """The system's own words in an answer, where there are any fit to be shown."""
    try:
        data = msgspec.json.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _plain_words(response)
    usual = tuple(tuple(path.split(".")) for path in _USUAL)
    for path in (*paths, *usual):
        if found := _said(data, path):
            return clean_words(found)
    return None


def clean_words(words: str) -> str:
    """Cut to size, on one line, printable. Masked before it is cut: half a secret is no longer known for one."""
    masked = redactor.redact(words[:MASKED])[: MAX_WORDS * 2]
    text = " ".join("".join(c if c.isprintable() else " " for c in masked).split())
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"


def _said(data: Any, path: tuple[str, ...]) -> str | None:
    """What stands there; of several, the first ones, with the fields that they stand in where `*` stood for those."""
    if ANY not in path:
        return next((text for _, value in seek(data, path) if (text := _text(value))), None)
    found: list[str] = []
    for name, value in seek(data, path):
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)
        if text and (said := text if name is None else f"{name}: {text}") not in found:
            found.append(said)
        if len(found) == MOST_SAID:
            break
    return "; ".join(found) or None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list):
        return _text(value[0]) if value else None
    if isinstance(value, dict):
        return next(
            (found for name in ("message", "error", "detail") if (found := _text(value.get(name)))), None
        )
    return None


def _plain_words(response: Response) -> str | None:
    """A short plain text is shown; a page of HTML says nothing that the status doesn't."""
    if "html" in response.headers.get("content-type", "") or response.body.lstrip()[:1] == b"<":
        return None
    text = clean_words(response.body[:MASKED].decode("utf-8", "replace"))
    return text if text and "�" not in text else None
