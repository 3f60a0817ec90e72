"""How much of an answer's body is taken into memory?

Promises: never more than `most` bytes after decompression, decided while it streams, so neither an endless answer nor
a small one that unpacks to gigabytes gets further. A compressed body that ends too early or is broken is no answer.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Protocol

from worker.errors import NeedsOperator, Transient

ACCEPTED = "gzip, deflate"
PIECE = 64 * 1024
STEP = 1024 * 1024
"""So much is unpacked at a time."""
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS


class _Inflater(Protocol):
    """What `zlib.decompressobj` returns; the class has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def read_body(
    chunks: Iterable[bytes],
    encoding: str,
    most: int,
    said_by: str,
    comes: Callable[[int], None] = lambda _: None,
) -> bytes:
    """The whole body, decompressed. `said_by` names host and request in errors; `comes` is told its size so far."""
    encodings = [
        name
        for name in (part.strip().lower() for part in encoding.split(","))
        if name not in ("", "identity")
    ]
    if not encodings:
        plain = chunks
    elif encodings in (["gzip"], ["x-gzip"], ["deflate"]):
        plain = _inflated(chunks, said_by)
    else:
        raise Transient(
            "broken_answer", f"{said_by} came in an encoding that wasn't asked for: {encoding[:40]!r}."
        )
    taken, size = BytesIO(), 0
    for chunk in plain:
        size += len(chunk)
        if size > most:
            raise too_large(said_by, most)
        comes(size)
        taken.write(chunk)
    return taken.getvalue()


def pieces(body: bytes) -> Iterator[bytes]:
    """A body in pieces, so that what it unpacks to is bounded piece by piece."""
    for at in range(0, len(body), PIECE):
        yield body[at : at + PIECE]


def too_large(said_by: str, most: int) -> NeedsOperator:
    """The error for an answer beyond the bound."""
    return NeedsOperator(
        "page_too_large",
        f"{said_by} is larger than {most} bytes.",
        hint="Ask for smaller pages in the stream's settings, or raise HEADRACE_MAX_PAGE_BYTES.",
    )


def _inflated(chunks: Iterable[bytes], said_by: str) -> Iterator[bytes]:
    inflater: _Inflater | None = None
    try:
        for chunk in chunks:
            data, out = chunk, b""
            while data or len(out) == STEP:  # after a full step, there may be more that needs no input
                if inflater is None or inflater.eof:
                    if not data:
                        break
                    inflater, data = _begin(data)  # a gzip body may have several members
                out = inflater.decompress(data, STEP)
                yield out
                data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    except zlib.error:
        raise Transient("broken_answer", f"{said_by} is compressed, and broken.") from None
    if inflater is not None and not inflater.eof:
        raise Transient("broken_answer", f"{said_by} ends in the middle of its compressed body.")


def _begin(data: bytes) -> tuple[_Inflater, bytes]:
    """By the first bytes: gzip, zlib, or the bare deflate that some servers send under that name."""
    looks_wrapped = data[0] == 0x1F or data[0] & 0x0F == zlib.DEFLATED
    return zlib.decompressobj(_ZLIB_OR_GZIP if looks_wrapped else _RAW_DEFLATE), data
