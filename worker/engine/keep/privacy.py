"""Which fields may not be kept? Left out or hashed on their way in, before anything of a record is stored or logged.

The key, the cursor, the version and the mark of a delete were read before, so they work on. The content's hash is made
of what is left: a change in a field that isn't kept is no change. A record that was set aside is screened like any
other; one that can't be read can't be screened, and is set aside without its bytes.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from worker.connectors.contract import Page, Record, Rejected
from worker.engine.keep.fields import Rules, hidden_texts, screen_fields
from worker.errors import HeadraceError, Transient

WITHHELD = "The words are withheld: they may repeat a field that is not kept here."
_SHOWN = 40
"""So much of a value is looked for in words about it: they may hold no more."""
_UNREADABLE = (ValueError, RecursionError, UnicodeError)


def rules_of(options: Mapping[str, Any]) -> Rules:
    """What a stream's options say of its fields."""
    return Rules.of(exclude=options.get("exclude", ()), hashed=options.get("hash", ()))


@dataclass(frozen=True, slots=True)
class FieldScreen:
    """Screens the pages of one stream."""

    rules: Rules
    digest: Callable[[str], str]
    """What is stored instead of a value that is hashed."""
    content_hash: Callable[[bytes], bytes]
    """The hash by which the stream notices a change."""

    def __call__(self, page: Page) -> Page:
        records: list[Record] = []
        rejected: list[Rejected] = []
        for record in page.records:
            try:
                records.append(self._record(record))
            except _UNREADABLE:
                rejected.append(without_bytes(Rejected(record.raw, "not_screened", "", record.key)))
        rejected += [self._rejected(bad) for bad in page.rejected]
        return replace(page, records=records, rejected=rejected)

    def _record(self, record: Record) -> Record:
        raw = self._screened(record.raw)
        exact = None if record.exact is None else self._exact(record.exact)
        if raw is record.raw and exact is record.exact:
            return record
        return msgspec.structs.replace(record, raw=raw, exact=exact, digest=self.content_hash(exact or raw))

    def _exact(self, exact: bytes) -> bytes | None:
        """Bytes that can't be screened aren't kept beside their readable copy."""
        try:
            json.loads(exact)
            return self._screened(exact)
        except _UNREADABLE:
            return None

    def _screened(self, raw: bytes) -> bytes:
        return screen_fields(raw, self.rules, self.digest)

    def _rejected(self, bad: Rejected) -> Rejected:
        try:
            data = json.loads(bad.raw)
            raw = self._screened(bad.raw)
        except _UNREADABLE:
            return without_bytes(bad)
        reason = WITHHELD if _repeats(bad.reason, hidden_texts(data, self.rules)) else bad.reason
        return Rejected(raw, bad.code, reason, bad.key)


def without_bytes(bad: Rejected) -> Rejected:
    """What may be kept of a record whose fields can't be told apart. Its key, where it has one, tells it from others."""
    return Rejected((bad.key or "").encode("utf-8", "replace"), bad.code, WITHHELD, bad.key)


def worded(error: HeadraceError, options: Mapping[str, Any], *, erased: bool) -> HeadraceError:
    """The error as it may be kept and logged: what an unreadable page begins with may be what is not kept here."""
    if error.code != "malformed_page" or not (erased or rules_of(options)):
        return error
    return Transient(error.code, f"A list of records was expected, and something else came. {WITHHELD}")


def _repeats(words: str, hidden: Iterable[str]) -> bool:
    return any(text and (text[:_SHOWN] in words or ascii(text)[1:-1][:_SHOWN] in words) for text in hidden)


def key_paths_at_fault(options: Mapping[str, Any], keys: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The paths of the options that would touch a field by which the stream's records are known."""
    paths = [tuple(path) for name in ("exclude", "hash") for path in options.get(name, ())]
    return [path for path in paths for key in keys if tuple(key)[: len(path)] == path]
