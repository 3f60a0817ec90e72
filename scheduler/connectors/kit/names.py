"""What do names say? Of fields, parameters and lists: what names a record, counts a list, continues it, or is secret. Pure.

Names are compared without case and punctuation, so `pageSize`, `page_size` and `page[size]` are one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

USUAL = 100
"""The size of a page where nobody says how large it may be."""
LARGEST = 1000
"""No larger, however many a document allows."""
SURE = ("id", "uuid", "guid", "pk")
LISTS = frozenset(
    {"data", "results", "items", "records", "value", "values", "rows", "content", "entries", "member",
     "objects", "list", "docs", "hits", "elements", "result", "features"}
)  # fmt: skip
"""Lists of records are called so."""
READS = frozenset({"search", "_search", "filter", "query", "find", "list", "all", "paginated", "paginate"})
"""Paths that say how they read, and not what."""
VERSION = re.compile(r"api|rest|v\d+(\.\d+)*", re.IGNORECASE)
BESIDE = re.compile(
    r"facet|filter|column|field|header|error|warning|message|link|meta|aggregation|sort|suggest|permission|include|schema|unit",
    re.IGNORECASE,
)
"""Lists that say something of the list are called so."""
_KEYS = ("key", "number", "code", "slug", "name")
_SECRET = re.compile(
    r"password|passwd|pwd|secret|token|api_?key|private|credential|hashed|salt|signature|session",
    re.IGNORECASE,
)
_CHANGED = re.compile(
    r"((last)?(updated|modified|changed|edited|modification|update|modify|change)|write)(at|on|date|time|datetime|utc)?"
    r"|(date|time)(last)?(updated|modified|changed)"
)
_CHANGED_PARAM = re.compile(r"(last)?(updated|modified|changed|update).*(since|after|from|gte?|min)")
_TOTAL = re.compile(
    r"(odata)?(total|count)|total(count|results|records|items|elements|rows|entries|hits)|numfound|numbermatched|[a-z]*rowscount"
)
_SIZES = ("limit", "perpage", "pagesize", "size", "pagelimit", "top", "maxresults", "itemsperpage",
          "resultsperpage", "limitpagelength", "take", "rows", "count", "max")  # fmt: skip
_OFFSETS = frozenset({"offset", "skip", "start", "startindex", "startat", "limitstart", "pageoffset"})
_PAGES = frozenset({"page", "pageno", "pagenumber", "p", "pageindex", "currentpage"})
_CURSORS = frozenset(
    {"cursor", "pagetoken", "pagecursor", "pageafter", "after", "startingafter", "continuationtoken", "continuation",
     "nexttoken", "next", "nextcursor", "nextpage", "marker", "bookmark"}
)  # fmt: skip
_TOKENS = frozenset({"_token", "token"})
_NEXT_LINKS = frozenset(
    {"nextlink", "nexturl", "nexturi", "nexthref", "nextpageurl", "nextpagelink", "odatanextlink"}
)
_NEXT_CURSORS = frozenset(
    {"nextcursor", "nextpagetoken", "nextpagecursor", "nexttoken", "cursor", "endcursor", "continuationtoken",
     "nextmarker", "bookmark", "nextpageid"}
)  # fmt: skip
_EITHER = frozenset({"next", "nextpage"})
_AROUND_LINKS = frozenset({"links", "link"})


@dataclass(frozen=True, slots=True)
class Param:
    """A query parameter, and what is known of its numbers."""

    name: str
    most: int | None = None
    usual: int | None = None

    @property
    def size(self) -> int:
        """The size to ask for, if it is one."""
        return min(self.most or max(USUAL, self.usual or 0), LARGEST)


def plain(name: str) -> str:
    """The name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def looks_secret(name: str) -> bool:
    """Whether a field is called like something that must not be seen."""
    return _SECRET.search(name) is not None


def singular(name: str) -> str:
    """`orders` is `order`, `companies` is `company`."""
    found = plain(name)
    if found.endswith("ies"):
        return f"{found[:-3]}y"
    return found[:-1] if found.endswith("s") and not found.endswith("ss") else found


def same_things(one: str, other: str) -> bool:
    """Whether two names mean the same kind of thing, be it one or many."""
    return singular(one) == singular(other) != ""


def key_among(fields: Iterable[str], *, of: str = "", place: str = "") -> tuple[str | None, bool]:
    """The field that is called like the key of `of`, and whether there is no doubt; `place`: what its path calls it."""
    known = {plain(name): name for name in reversed([*fields]) if not looks_secret(name)}
    one = singular(of)
    own = [f"{one}{end}" for end in ("id", "uuid", "number", "code", "no", "key")] if one else []
    for name in filter(None, (plain(place), *SURE, *own[:2])):
        if name in known:
            return known[name], True
    for name in (*own[2:], *_KEYS):
        if name in known:
            return known[name], False
    ending = (name for short, name in known.items() if short.endswith(("id", "number", "code")))
    return next(ending, None), False


def is_changed(name: str) -> bool:
    """Whether a field seems to say when its record changed."""
    return _CHANGED.fullmatch(plain(name)) is not None


def changed_param(names: Iterable[str]) -> str | None:
    """The parameter that asks for changes, where one is called so."""
    return next((name for name in names if _CHANGED_PARAM.fullmatch(plain(name))), None)


def is_total(name: str) -> bool:
    """Whether something beside a list counts it."""
    return _TOTAL.fullmatch(plain(name)) is not None


def counts_all(header: str) -> bool:
    """Whether a header is called like a count of all records, such as X-Total-Count."""
    return "total" in header.lower() and is_total(re.sub(r"^x-(wp-)?", "", header.lower()))


def is_size(name: str) -> bool:
    """Whether a parameter asks for a size."""
    return plain(name) in _SIZES


def next_link_at(at: Sequence[str]) -> bool:
    """Whether a link to the next page stands at this path, by its name."""
    last, before = plain(at[-1]), [plain(name) for name in at[:-1]]
    if last in _NEXT_LINKS:
        return True
    if last == "href":
        return before[-1:] == ["next"]
    return last == "next" and bool(_AROUND_LINKS & {*before})


def next_cursor_at(at: Sequence[str]) -> bool:
    """Whether a text that asks for the next page stands at this path, by its name."""
    return plain(at[-1]) in _NEXT_CURSORS or (plain(at[-1]) == "after" and len(at) > 1)


def next_either_at(at: Sequence[str]) -> bool:
    """Whether something stands here that names the next page, and its name leaves open how."""
    return plain(at[-1]) in _EITHER


def cursor_param(params: Iterable[Param]) -> Param | None:
    """The parameter that takes a cursor."""
    found = [one for one in params if plain(one.name) in _CURSORS or one.name in _TOKENS]
    return min(found, key=lambda one: one.name in _TOKENS, default=None)


def size_param(params: Iterable[Param]) -> Param | None:
    """The parameter that takes the size of a page."""
    known = {plain(one.name): one for one in reversed([*params])}
    return next((known[name] for name in _SIZES if name in known), None)


def counted_paging(params: Sequence[Param]) -> dict[str, Any] | None:
    """Paging by offset or by number, where parameters are called so."""
    size = size_param(params)
    for kind, known, named in (("offset", _OFFSETS, "limit_param"), ("page", _PAGES, "size_param")):
        param = next((one for one in params if plain(one.name) in known), None)
        if param is None or param is size or (size is None and kind == "offset"):
            continue
        asked = {named: size.name, "size": size.size} if size else {"size": USUAL}
        first = {"first": 0} if kind == "page" and param.usual == 0 else {}
        return {kind: {"param": param.name, **asked, **first}}
    return None


def with_size(paging: Mapping[str, Any], params: Sequence[Param]) -> dict[str, Any]:
    """Of a link or a cursor: with the size that may be asked for."""
    size = size_param(params)
    return {**paging, "size_param": size.name, "size": size.size} if size else {**paging}


def named_in(paging: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a way of paging says itself, each with its size or None."""
    (words,) = paging.values() if paging else ({},)
    sizes = {words.get("size_param"): words.get("size"), words.get("limit_param"): words.get("size")}
    return {name: size for name, size in {words.get("param"): None, **sizes}.items() if name}
