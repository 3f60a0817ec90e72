"""How do the lines of an order become records of their own? Each is taken out of its parent, with the parent's fields put in.

    {"id": 7, "lines": [{"no": 1}, {"no": 2}]}   →   {"no": 1,"order_id":7}   {"no": 2,"order_id":7}

A child keeps its bytes as they were sent; the parent's fields go behind them, byte by byte, so they win over fields of the
same name. A parent that can't be taken apart is set aside as it came. Where a parent holds all of its children, each list
that is there is a family: what the copy holds of it beside them is gone. A list that is null or missing says nothing.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec

from worker.connectors.contract import Family, Rejected
from worker.connectors.reading.digests import digest
from worker.connectors.reading.fields import PARSE_ERRORS, Picker
from worker.connectors.reading.growth import grown
from worker.connectors.reading.keys import make_key
from worker.connectors.reading.listing import Listing
from worker.connectors.reading.shape import Explode, FieldPath, Shape
from worker.connectors.reading.split import slices
from worker.connectors.reading.suspects import parse_carefully
from worker.errors import BadRecord

_NULL = b"null"


@dataclass(slots=True)
class Exploded:
    """What a page of parents holds."""

    children: list[bytes] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)
    spans: list[range] = field(default_factory=list)
    """Which of the children came with each of the families."""
    rejected: list[Rejected] = field(default_factory=list)
    childless: list[bytes] = field(default_factory=list)
    """What a child of each parent without any would be, with the parent's fields alone."""
    marks: list[tuple[str, str]] = field(default_factory=list)
    grown: int = 0
    """Bytes of parents that were put into their children."""

    def families_without(self, nameless: Collection[bytes]) -> Sequence[Family]:
        """The families that are told whole. A child without a key may be any that its own seems to miss, and no other's."""
        if not nameless:
            return self.families
        unsure = {
            family.stem
            for family, span in zip(self.families, self.spans, strict=True)
            if any(self.children[at] in nameless for at in span)
        }
        return [family for family in self.families if family.stem not in unsure]


class Explosion:
    """Takes the parents of one stream apart."""

    def __init__(self, shape: Shape, explode: Explode) -> None:
        self._explode = explode
        self._listing = Listing(explode.path, or_one=shape.or_one)
        self._names = [json.dumps(name).encode() for name, _ in explode.parent]
        removed = explode.removed
        self._gone: tuple[FieldPath, ...] = (removed.field, *removed.key) if removed else ()
        self._paths = [path for _, path in explode.parent]
        self._wanted = list(dict.fromkeys([*self._paths, *self._gone]))
        self._pick = _picker(self._listing, self._wanted)
        names = [name for name, _ in explode.parent]
        self._stem = [names.index(path[0]) for path in shape.key[: explode.by]]

    def of(self, parents: Sequence[bytes]) -> Exploded:
        """All parents of a page."""
        found = Exploded()
        for raw in parents:
            try:
                self._take(raw, found)
            except BadRecord as exc:
                found.rejected.append(Rejected(raw, exc.code, exc.message))
            except (ValueError, *PARSE_ERRORS):
                words = f"There is no list of records at {'.'.join(self._explode.path)!r}."
                found.rejected.append(Rejected(raw, "not_a_list", words))
        return found

    def _take(self, raw: bytes, found: Exploded) -> None:
        found.marks.append((f"entry {digest(raw).hex()}", "entry"))
        children, values = self._parts(raw)
        known = dict(zip(self._wanted, values, strict=True))
        fields, gone = [known[path] for path in self._paths], [known[path] for path in self._gone]
        if gone and gone[0] not in {_NULL, b"false"}:
            found.families.append(Family(stem_of(gone[1:]), told=True))
            found.spans.append(range(0))
            return
        tail = b",".join(name + b":" + value for name, value in zip(self._names, fields, strict=True)) + b"}"
        if not children:
            found.childless.append(b"{" + tail)
        if children is not None and self._stem:
            found.families.append(Family(stem_of([fields[place] for place in self._stem])))
            begin = len(found.children)
            found.spans.append(range(begin, begin + len(children)))
        found.grown = grown(found.grown, len(tail) * len(children or ()))
        found.children += [_spliced(child, tail) for child in children or ()]

    def _parts(self, raw: bytes) -> tuple[list[bytes] | None, list[bytes]]:
        """The children, None where nothing is said of them, and the values of the parent."""
        try:
            if self._pick is None:
                return self._parts_carefully(raw)
            listed, *values = self._pick(raw)
            children = None if listed is None else self._listing.cut(listed)
            return children, [_NULL if value is None else bytes(value) for value in values]
        except PARSE_ERRORS:
            return self._parts_carefully(raw)

    def _parts_carefully(self, raw: bytes) -> tuple[list[bytes] | None, list[bytes]]:
        if raw[:1] != b"{":
            parse_carefully(raw)  # says what it is
        head = self._listing.head
        known = slices(raw, {head, *self._wanted})
        held = known.get(head, _NULL)
        children = None if held == _NULL else self._listing.cut_carefully(held)
        return children, [known.get(path, _NULL) for path in self._wanted]


def stem_of(values: Sequence[bytes]) -> str:
    """How the keys begin whose first fields are these, each as it was sent; `BadRecord` where they can be no key's."""
    try:
        read = [msgspec.json.decode(value) for value in values]
    except PARSE_ERRORS:
        raise BadRecord("bad_key", "What names the parent can't be read.") from None
    make_key(read)
    return json.dumps(read, ensure_ascii=False, separators=(",", ":"))[:-1] + ","


def stems_of(key: str, fields: int) -> list[str]:
    """The same of a key by which a parent is known: a number may have been sent as a number or as a text."""
    if fields > 1:
        return [key[:-1] + ","]
    quoted = json.dumps([key], ensure_ascii=False)[:-1] + ","
    return [quoted, f"[{key},"] if key.lstrip("-").isdecimal() and key.isascii() else [quoted]


def _picker(listing: Listing, paths: Sequence[FieldPath]) -> Picker | None:
    """None: the fields can't be read together, as one lies in the other."""
    kept = listing.kept if listing.kept is msgspec.Raw else listing.kept | None
    try:
        return Picker([(listing.head, kept), *((path, msgspec.Raw) for path in paths)])
    except TypeError:
        return None


def _spliced(child: bytes, tail: bytes) -> bytes:
    """What is no object stays what it is, and is set aside later."""
    if child[:1] != b"{":
        return child
    head = child[:-1].rstrip()
    return head + (b"," if len(head) > 1 else b"") + tail
