"""What does an answer say of the one record that was asked for?"""

from dataclasses import replace
from typing import Protocol

from worker.connectors.contract import Gone, Listed, Page, Rejected, Response
from worker.connectors.reading.shape import FieldPath
from worker.connectors.reading.split import slices

_BLANK = b" \t\r\n\xef\xbb\xbf"


class _Parser(Protocol):
    def parse(self, raws: "list[bytes]", /) -> Page: ...


def absent(stream: _Parser, response: Response, path: FieldPath, key: str) -> Page:
    """The system said that the record isn't there. A web page that comes with it is somebody else's word, and where the record
    itself does, it was something in it that isn't there (as in GraphQL's partial answers).
    """
    if "html" in response.headers.get("content-type", ""):
        words = f"The system answered {response.status} with a web page, which says nothing about a record."
        return Page([], [Rejected(response.body, "unclear_absence", words, key)])
    if path and one_of(stream, response.body, path, key).records:
        words = (
            "The system says that something isn't there, and sent the record that was asked for all the same."
        )
        return Page([], [Rejected(response.body, "unclear_absence", words, key)])
    return Page([], gone=[Gone(key, "not_found")])


def keys_alone(page: Page) -> Page:
    """A page of a list whose entries only say which records there are: they are to be asked for."""
    marks = [(entry.key, entry.digest.hex()) for entry in page.records]
    listed = Listed(marks, pending=[entry.key for entry in page.records])
    return replace(page, records=[], listed=listed)


def one_of(stream: _Parser, body: bytes, path: FieldPath, key: str) -> Page:
    """The record in the answer, if it is the one that was asked for."""
    raw = record_in(body, path)
    if raw is None:
        words = f"The answer holds no record{' at ' + '.'.join(path) if path else ''}."
        return Page([], [Rejected(body, "malformed_answer", words, key)])
    page = stream.parse([raw])
    if page.records and page.records[0].key != key:
        words = f"Asked for {key!r}, the system sent the record {page.records[0].key!r}."
        return Page([], [Rejected(raw, "other_record", words, key)])
    rejected = [Rejected(bad.raw, bad.code, bad.reason, bad.key or key) for bad in page.rejected]
    return Page(page.records, rejected)


def one_among(stream: _Parser, raws: list[bytes], key: str) -> Page:
    """The record of that key in a list that was asked for it alone; an empty one says that there is none."""
    if not raws:
        return Page([], gone=[Gone(key, "not_found")])
    page = stream.parse(raws)
    records = [record for record in page.records if record.key == key]
    if records or page.rejected:
        rejected = [Rejected(bad.raw, bad.code, bad.reason, bad.key or key) for bad in page.rejected]
        return Page(records[:1], [] if records else rejected[:1])
    words = f"Asked for {key!r} alone, the system sent {len(page.records)} other records."
    return Page([], [Rejected(raws[0], "other_record", words, key)])


def is_null(body: bytes, path: FieldPath) -> bool:
    """Whether the answer says in so many words that nothing is there."""
    try:
        return slices(body, {path}).get(path) == b"null" if path else body.strip(_BLANK) == b"null"
    except ValueError:
        return False


def record_in(body: bytes, path: FieldPath) -> bytes | None:
    """The bytes of the object there, as they were sent."""
    try:
        raw = slices(body, {path}).get(path) if path else body.strip(_BLANK)
    except ValueError:
        return None
    return raw if raw is not None and raw[:1] == b"{" else None
