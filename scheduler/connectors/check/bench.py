"""The bench on which one check tries one stream: a double of its own, connections to it, and what is compared."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from secrets import token_hex
from typing import Any

from scheduler.connectors.check.double.any_double import AnyDouble
from scheduler.connectors.check.driving.account import Account, kept_secrets
from scheduler.connectors.check.driving.copy import Copy
from scheduler.connectors.check.outcome import Broken
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Connector, Stream, Window
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.reading.shape import FieldPath
from worker.telemetry.redaction import redactor

DAY = 86_400.0
ODD = 61.234567
"""Seconds between two groups of records, so that their times have fractions."""
GROUP = 8
MOST_RECORDS = 4096
MOST_IN_A_PAGE = 256
"""What comes in one page then always does."""
SHOWN = 5


@dataclass(frozen=True)
class Subject:
    """What is checked: a connector, and the double that plays its system."""

    manifest: Manifest
    double: Callable[[], AnyDouble]

    def connector(self) -> Connector:
        """As a process reads it."""
        return ManifestConnector(self.manifest)

    @cached_property
    def whole(self) -> Manifest:
        """The manifest, with what a connection to the double describes of itself where the system is open."""
        if not self.manifest.open:
            return self.manifest
        with self.double() as double:
            return ManifestConnector(self.manifest).manifest_of(double.settings())


@dataclass
class Bench:
    """Where one check tries one stream."""

    subject: Subject
    stream: str
    double: AnyDouble
    secrets: Mapping[str, str]
    _accounts: list[Account] = field(default_factory=list)

    @property
    def spec(self) -> StreamManifest:
        """What the manifest says of the stream."""
        return self.subject.whole.streams[self.stream]

    @cached_property
    def described(self) -> Stream:
        """The stream as the connector has it."""
        return self.account().source.stream(self.stream)

    def account(self, **options: Any) -> Account:
        """A connection in a process of its own."""
        settings = options.pop("settings", None) or self.double.settings()
        account = Account(
            self.subject.connector,
            self.double,
            self.secrets,
            settings,
            **{"page_size": self.page_size, **options},
        )
        self._accounts.append(account)
        return account

    def copy(self, **options: Any) -> Copy:
        """An empty copy in such a process."""
        return Copy(self.account(**options), self.stream)

    @contextmanager
    def wrong_secret(self, name: str, *, keeps: bool = False) -> Iterator[Account]:
        """A connection whose secret of that name is wrong; with `keeps`, what is right is in it."""
        right = self.double.secrets[name]
        wrong = f"{right}-wrong" if keeps else f"wrong-{token_hex(6)}"
        with kept_secrets({**self.double.secrets, name: wrong}) as references:
            account = self.account()
            account.secrets = references
            yield account

    @property
    def page_size(self) -> int:
        """As the manifest has it, or the protocol."""
        return int(self.spec.rows or getattr(self.spec.paging, "size", 0) or self.subject.manifest.rpc_size)

    def close(self) -> None:
        for account in self._accounts:
            account.close()

    def fill(self, pages: int = 4) -> int:
        """Records until so many pages hold them, half of them older than the live runs reach; how many there are."""
        count = self._grow(GROUP)
        while count < MOST_RECORDS:
            found = self.copy().window(Window())
            if len(found) >= pages or (len(found) == 1 and count >= MOST_IN_A_PAGE):
                break
            if len(found) > 1:
                # By now it is known how large a page is.
                count += self._grow(pages * max(len(page.keys) for page in found) + 1 - count)
                break
            count += self._grow(count)
        self.double.create(self.stream)
        self.double.advance(ODD)
        return count + 1

    def _grow(self, more: int) -> int:
        """So many records more at least, and two days later; how many they are."""
        groups = -(-max(more, 0) // GROUP)
        for _ in range(groups):
            self.double.create(self.stream, GROUP)
            self.double.advance(ODD)
        self.double.advance(2 * DAY)
        return groups * GROUP

    def loaded(self, pages: int = 1) -> Copy:
        """A copy of that many pages, compared."""
        self.fill(pages)
        copy = self.copy()
        copy.load()
        self.compare(copy, "after the first load")
        return copy

    def compare(self, copy: Copy, when: str) -> None:
        """The copy must be what the system has; `Broken` says how it isn't."""
        truth = self.double.truth(self.stream)
        if copy.rejected:
            bad = copy.rejected[0]
            raise Broken(f"records that can be taken {when}", f"{len(copy.rejected)} set aside: {bad.reason}")
        missing = [key for key in truth if key not in copy.records]
        more = [key for key in copy.records if key not in truth]
        if missing or more:
            raise Broken(
                f"the {len(truth)} records that the system has {when}",
                f"{len(copy.records)}" + _keys(", without", missing) + _keys(", and beyond them", more),
            )
        for key, record in truth.items():
            if not self.same(copy.records[key].raw, record):
                raise Broken(f"record {key} as it is {when}: {_short(record)}", _short(copy.records[key].raw))

    def same(self, kept: Any, there: Any) -> bool:
        """Whether a record has one content, but for what changes without meaning by the manifest's word."""
        volatile = self.spec.shape.volatile
        return kept == there or bool(volatile and _steady(kept, volatile) == _steady(there, volatile))

    def last_request(self) -> str | None:
        """What was asked last, without secrets."""
        if not self.double.log:
            return None
        call = self.double.log[-1].call
        body = f" {call.body[:300].decode('utf-8', 'replace')}" if call.body else ""
        return redactor.redact(call.words + body)


@contextmanager
def bench(subject: Subject, stream: str) -> Iterator[Bench]:
    """One check's bench; nothing of it is left."""
    with subject.double() as double, kept_secrets(double.secrets) as secrets:
        made = Bench(subject, stream, double, secrets)
        try:
            yield made
        finally:
            double.no_more_trouble()
            made.close()


def _keys(words: str, keys: list[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(keys[:SHOWN])
    return f"{words} {shown}" + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")


def _steady(record: Any, volatile: Sequence[FieldPath]) -> Any:
    for path in volatile:
        record = _without(record, path)
    return record


def _without(value: Any, path: FieldPath) -> Any:
    if not isinstance(value, dict) or path[0] not in value:
        return value
    others = {name: inner for name, inner in value.items() if name != path[0]}
    return others | {path[0]: _without(value[path[0]], path[1:])} if path[1:] else others


def _short(record: Any) -> str:
    text = json.dumps(record, default=str)
    return text if len(text) <= 200 else text[:199] + "…"
