"""How are the children of a list's entries asked for, each parent's by the parent's key?

What is pending on such a page are parents. Their keys are no records' keys, so the stream itself can't be asked by them
(`Stream.single`): the page brings along who can, with what its entries said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from worker.connectors.contract import Page, Rejected, Request, Response
from worker.connectors.manifest.streams.detail import Below, Detail
from worker.connectors.manifest.streams.single import Single
from worker.connectors.reading.below import (
    children,
    gone_below,
    of_whole,
    parents_alone,
    says_more,
    shared_entries,
)
from worker.connectors.reading.reader import Reader
from worker.connectors.reading.single import absent, is_null, keys_alone, record_in


class _Asks(Protocol):
    """The stream."""

    @property
    def name(self) -> str: ...

    @property
    def reader(self) -> Reader: ...

    def asking(self, asked: Single, key: str) -> Request: ...

    def parse(self, raws: list[bytes], /) -> Page: ...


@dataclass(frozen=True, slots=True)
class _Parents:
    """Those of one page."""

    stream: _Asks
    below: Below
    heads: Mapping[str, bytes]

    @property
    def name(self) -> str:
        return self.stream.name

    def single(self, key: str) -> Request:
        return self.stream.asking(self.below.asked, key)

    def read_single(self, response: Response, key: str) -> Page:
        """Its children, if it has any; who isn't there has none."""
        asked, body = self.below.asked, response.body
        if response.status not in asked.absent and not (asked.or_null and is_null(body, asked.record)):
            return self._held(body, key)
        page = absent(self.stream, response, (), key)
        if page.gone and self._held(body, key).records:
            words = f"The system says that something isn't there below {key!r}, and sent what is there all the same."
            return Page([], [Rejected(body, "unclear_absence", words)])
        return gone_below(key, self.below.entry.by) if page.gone else page

    def _held(self, body: bytes, key: str) -> Page:
        below, record = self.below, self.below.asked.record
        if below.more is not None and says_more(body, below.more):
            words = f"The system holds more below {key!r} than it answers with: ask for more at once (single.params)."
            return Page([], [Rejected(body, "answer_cut_off", words)])
        if below.whole:
            return of_whole(self.stream.reader, body, record_in(body, record), key, below.entry.by)
        head = self.heads.get(key)
        if head is None:  # of a page that was read before: it only has to be there
            return Page([])
        return children(self.stream.reader, body, head, (*record, *below.entry.path), key)


def entries_of(stream: _Asks, detail: Detail, page: Page) -> Page:
    """A page of a list that only says what is to be asked for: records, or what lies below its entries."""
    if (below := detail.below) is None:
        return keys_alone(page)
    entries = shared_entries(below.keys, below.entry)
    return parents_alone(page, entries, lambda heads: _Parents(stream, below, heads))
