"""How is a trial told? As a table of its records with a sentence, or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.cli.output import clean, console, note, print_table, say
from scheduler.connectors.kit.live import PROOF, UNSHOWN, Exchanged
from worker.connectors.contract import Page, Record
from worker.telemetry.redaction import redactor

WIDTH = 110
"""Of a line where nobody looks: what is piped on is read in windows of any width."""
LEAST = 30
"""So much of a record is shown, however long its key is."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial brought."""

    pages: Sequence[Page]
    exchanges: Sequence[Exchanged]
    hints: Sequence[str]

    @property
    def records(self) -> list[Record]:
        """Each once: pages that are counted begin with the last record of the one before."""
        return list({record.key: record for page in self.pages for record in page.records}.values())

    @property
    def rejected(self) -> list[Any]:
        return [bad for page in self.pages for bad in page.rejected]

    @property
    def gone(self) -> list[Any]:
        return [one for page in self.pages for one in page.gone]

    @property
    def total(self) -> int | None:
        return next((page.total for page in self.pages if page.total is not None), None)

    @property
    def more(self) -> bool:
        """Whether the last page says that there is another."""
        return bool(self.pages) and self.pages[-1].next is not None

    def as_json(self, limit: int) -> dict[str, Any]:
        """For `--json`: see docs/connectors/tutorial.md."""
        return {
            "records": [
                {
                    "key": one.key,
                    "changed": one.updated_at,
                    "cursor": one.cursor,
                    "deleted": one.deleted,
                    "raw": json.loads(one.raw),
                }
                for one in self.records[:limit]
            ],
            "rejected": [
                {
                    "code": bad.code,
                    "reason": bad.reason,
                    "key": bad.key,
                    "raw": bad.raw.decode("utf-8", "replace"),
                }
                for bad in self.rejected[:limit]
            ],
            "gone": [{"key": one.key, "reason": one.reason, "at": one.at} for one in self.gone],
            "read": len(self.records),
            "not_taken": len(self.rejected),
            "pages": len(self.pages),
            "total": self.total,
            "more": self.more,
            "hints": list(self.hints),
            "requests": [_request(one) for one in self.exchanges],
        }


def _request(one: Exchanged) -> dict[str, Any]:
    sent = {
        name: "…" if name.lower() in PROOF else redactor.redact(value)
        for name, value in one.sent.items()
        if name.lower() not in UNSHOWN
    }
    body = redactor.redact(one.body.decode("utf-8", "replace")) if one.body else None
    return {
        "method": one.method,
        "url": redactor.redact(one.url),
        "headers": sent,
        "body": body,
        "status": one.status,
        "seconds": round(one.seconds, 3),
        "bytes": len(one.answer),
    }


def print_tried(found: Tried, limit: int) -> None:
    """For people: a line for each record, however long it is."""
    rows = [(one.key, one.cursor or one.updated_at, one.deleted or None) for one in found.records[:limit]]
    at = console()
    width = at.width if at.is_terminal else WIDTH
    taken = max((len(str(row[0])) + len(str(row[1])[:19]) for row in rows), default=0) + len("deleted") + 8
    most = max(LEAST, width - taken)
    if rows or not found.rejected:
        lines = [(*row, _cut(one.raw, most)) for row, one in zip(rows, found.records, strict=False)]
        print_table(("key", "changed", "deleted", "record"), lines, empty="No record came.")
    for bad in found.rejected[:limit]:
        say(clean(f"Not taken: {bad.code}: {bad.reason} {_cut(bad.raw, WIDTH)}"))
    total = "" if found.total is None else f" of {found.total:,}"
    more = "; there is more (--pages)" if found.more else ""
    records = (
        f"{len(found.records):,}{total} {'record' if len(found.records) == 1 and not total else 'records'}"
    )
    pages = f"{len(found.pages):,} {'page' if len(found.pages) == 1 else 'pages'}"
    say(f"{records} on {pages}{more}; {len(found.rejected)} not taken, {len(found.gone)} said to be gone.")
    for hint in found.hints:
        note(f"Hint: {clean(hint)}")


def _cut(raw: bytes, most: int) -> str:
    text = raw[: most * 4].decode("utf-8", "replace").replace("\n", " ")
    return text if len(text) <= most else f"{text[: most - 1]}…"
