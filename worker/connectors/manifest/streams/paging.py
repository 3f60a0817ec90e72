"""Which way of paging does a manifest name?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker.connectors.manifest.streams.paths import paths_of
from worker.connectors.paging.chained import ByCursor, ByLink, OnePage
from worker.connectors.paging.counted import SMALLEST_OF_MANY, ByNumber, ByNumberAndSize, ByOffset
from worker.connectors.paging.headers import header_of
from worker.connectors.paging.keyset import ByKeyset
from worker.connectors.paging.paging import Paging
from worker.connectors.reading.shape import field_path_of

ASKED_APART = frozenset({"in", "ends", "behind", "cap"})
"""What of paging is the request's."""
IN_THE_ANSWER = frozenset({"path", "more", "link"})
"""Where something stands in its body, or in a header (`paging.headers`)."""


def read_paging(found: Mapping[str, Any]) -> Paging:
    """The way of paging that a manifest names."""
    kind, said = next(iter(found.items()), ("none", {}))
    options = _options(said)
    match kind:
        case "offset":
            return ByOffset(**options)
        case "page":
            return _numbered({"size_param": None, **options})
        case "cursor":
            return ByCursor(**options)
        case "next_link":
            return ByLink(**{name: value for name, value in options.items() if value is not True})
        case "keyset":
            if "link" in options:
                options["pointer"] = options.pop("link")
            return ByKeyset(**{**options, "order": paths_of(options["order"])})
        case _:
            return OnePage()


def _options(said: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the request says, and what a header does; paths as paths."""
    options = {name: value for name, value in said.items() if name not in ASKED_APART}
    for name in IN_THE_ANSWER & options.keys():
        if header_of(place := options.pop(name)) is None:
            options[name] = field_path_of(place)
    return options


def check_cap(
    data: Mapping[str, Any], part: str, *, asks: bool, complain: Callable[[Sequence[str], str], Exception]
) -> None:
    """Raise where nothing leads beyond a cap. `asks`: the stream is asked for changes by its cursor."""
    options = next(iter(data["paging"].values()))
    ordered = data.get("incremental", {}).get("ordered", False)
    why = ""
    if part == "tombstones":
        why = "the list of what was deleted has paging of its own, without a cap"
    elif not (ordered and asks) or "detail" in data:
        why = "the list is asked for anew by its cursor, so it needs incremental with ordered: true, and no detail"
    elif options["cap"] < 2 * options["size"]:
        why = f"two pages of {options['size']} have to fit into it"
    if why:
        raise complain(
            ("paging", "cap"), f"cap is {options['cap']}: {why}. Page by keyset where the system can."
        )


def _numbered(options: dict[str, Any]) -> Paging:
    """Where records may change places, pages overlap if their size can be chosen."""
    if "pages" in options:
        pages = options.pop("pages")
        return ByNumber(**options, pointer=None if header_of(pages) else field_path_of(pages))
    if options.get("stable") or options["size_param"] is None or options["size"] < SMALLEST_OF_MANY:
        return ByNumber(**options)
    options.pop("stable", None)
    return ByNumberAndSize(**options)
