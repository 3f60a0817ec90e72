"""Which lines does a program write? Each of a bounded length, however much it writes without an end of line."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

PIECE = 64 * 1024


class Line(NamedTuple):
    """One line without its end; of one that is too long the beginning."""

    text: bytes
    size: int
    """Of all of it."""

    @property
    def is_cut(self) -> bool:
        return self.size > len(self.text)


def lines_of(read: Callable[[int], bytes], most: int, *, kept: int = 2000) -> Iterator[Line]:
    """The lines of whatever `read` gives piece by piece; of a line beyond `most` bytes its first `kept` ones."""
    begun: list[bytes] = []
    size = held = 0
    while piece := read(PIECE):
        *ended, rest = piece.split(b"\n")
        for part in ended:
            yield _line(begun, part, size + len(part), most, kept)
            begun, size, held = [], 0, 0
        size += len(rest)
        if held <= most:
            begun.append(rest)
            held += len(rest)
        if held > most:
            begun = [b"".join(begun)[:kept]]
    if size:
        yield _line(begun, b"", size, most, kept)


def _line(begun: list[bytes], part: bytes, size: int, most: int, kept: int) -> Line:
    whole = b"".join((*begun, part)) if begun else part
    if size > most:
        return Line(whole[:kept], size)
    text = whole.rstrip(b"\r")
    return Line(text, len(text))
