"""What does an OpenAPI document say that a manifest needs? Its lists become streams, the rest is marked for review. Pure.

OpenAPI 3 and Swagger 2, JSON or YAML. A GET whose answer holds a list of objects is a stream, if all places in its path are
settings; one below it with a single place more is how one record is asked for.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

from scheduler.connectors.kit import names
from scheduler.connectors.kit.first import for_each, setting_names, without_user
from scheduler.connectors.kit.guessing import name_in
from scheduler.connectors.kit.schemas import Listed, Resolved, answer_of, kind_of, list_in, mapping, sequence
from scheduler.connectors.kit.sketching import asks_for_pages, below, stream_of
from scheduler.connectors.kit.writing import Sketch, name_of, with_guess
from worker.errors import InvalidInput

_PLACE = re.compile(r"\{([^}]+)\}")
MOST_NAMED = 30
"""So many of the lists that are left out are named."""
_OAUTH = "is OAuth 2.0"
_NO_SECURITY = (
    "The document doesn't say how one logs in: is it open to everybody? See docs/connectors/auth.md."
)


def sketch_of(
    document: Mapping[str, Any], system: str, *, places: Sequence[str] = (), seen_at: str = ""
) -> Sketch:
    """The system that the document describes; `InvalidInput` where it describes none.

    `places`: the names in { } of paths that are settings; `seen_at`: where the document comes from.
    """
    if not str(document.get("openapi") or document.get("swagger") or "").startswith(("3", "2")):
        hint = "An OpenAPI 3 or Swagger 2 document has `openapi: 3…` or `swagger: '2.0'` at its top."
        raise InvalidInput("not_openapi", "The file is no OpenAPI document.", hint=hint)
    info = mapping(document.get("info"))
    title = str(info.get("title") or system)
    auth, doubt = _auth(document)
    sketch = Sketch(system, title[:100], _base_url(document, seen_at), auth, auth_remark=doubt)
    sketch.description = str(info.get("description") or "").strip().split("\n")[0][:300]
    resolved = Resolved(document)
    paths = {
        str(path): item for path, item in mapping(document.get("paths")).items() if isinstance(item, Mapping)
    }
    under: list[str] = []
    settings: list[str] = []
    for path, item in paths.items():
        if "get" not in item or (found := _listed(resolved, path, paths)) is None:
            continue
        named = _settings_in(path)
        if any(name not in places for name in named):
            if not _is_one_of(path, paths, resolved):
                under.append(path)
            continue
        settings += [name for name in named if name not in settings]
        stream, remarks = stream_of(resolved, path, paths, found)
        with_guess(sketch, _name(path, list(sketch.streams)), stream, remarks)
    sketch.settings = tuple(settings)
    sketch.left_out = [*_told(under), *for_each(under, sketch.streams), *_searches(resolved, paths)]
    return sketch


def _name(path: str, taken: Sequence[str]) -> str:
    """What a path calls its list; where another is called so already, by more of its path."""
    short = name_of(name_in(path) or "records")
    parts = [
        part for part in path.split("/") if part and "{" not in part and not names.VERSION.fullmatch(part)
    ]
    return short if short not in taken else name_of("_".join(parts) or short, taken)


def _listed(resolved: Resolved, path: str, paths: Mapping[str, Any]) -> Listed | None:
    """The list that a path answers with, as far as the document says so: where it doesn't describe the answer, one that is
    asked for by pages, or has records below it, is one.
    """
    answer = answer_of(resolved, paths[path]["get"])
    found = list_in(resolved, answer)
    if found is not None or answer.get("properties") or kind_of(answer) not in {"", "object"}:
        return found
    if below(path, paths) is None and not asks_for_pages(resolved, paths[path]):
        return None
    return Listed(None, {}, {})


def _settings_in(path: str) -> list[str]:
    try:
        return _PLACE.findall(setting_names(path))
    except InvalidInput:
        return _PLACE.findall(path)


def _is_one_of(path: str, paths: Mapping[str, Any], resolved: Resolved) -> bool:
    """Whether it asks for one record of a list, whose answer is a list, too."""
    stem = path[: path.rindex("/")]
    above = [
        other
        for other in (stem, f"{stem}/", f"{stem}.json")
        if other in paths and below(other, paths) == path
    ]
    return any(list_in(resolved, answer_of(resolved, paths[other].get("get"))) for other in above)


def _told(under: Sequence[str]) -> Iterator[str]:
    """What to do about lists that lie below a record."""
    if not under:
        return
    more = f" and {len(under) - MOST_NAMED} more" if len(under) > MOST_NAMED else ""
    first = _settings_in(under[0])
    yield (
        f"Left out, since they are asked for with a name in their paths: {', '.join(under[:MOST_NAMED])}{more}. "
        f"Where each connection can say that name, give --setting {first[0]}=VALUE; where records hold the list, too, see explode."
    )


def _searches(resolved: Resolved, paths: Mapping[str, Any]) -> Iterator[str]:
    """Lists that are asked for by a body, which somebody has to write."""
    found = [
        path
        for path, item in paths.items()
        if "post" in item
        and path.rstrip("/").rpartition("/")[2].lower() in names.READS
        and list_in(resolved, answer_of(resolved, item["post"])) is not None
    ]
    if found:
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        yield (
            f"Left out, since they are asked for by POST: {', '.join(found[:MOST_NAMED])}{more}. Write one with `body`, and "
            "`in: body` in its paging and incremental; see docs/connectors/requests.md."
        )


def _base_url(document: Mapping[str, Any], seen_at: str) -> str:
    for one in map(mapping, sequence(document.get("servers"))):
        url = str(one.get("url", ""))
        for name, variable in mapping(one.get("variables")).items():
            url = url.replace(f"{{{name}}}", str(mapping(variable).get("default", "")))
        if seen_at.startswith("http"):
            url = urljoin(seen_at, url)
        if url.startswith("http"):
            return without_user(url).rstrip("/")
    if document.get("host"):
        scheme = next(iter(sequence(document.get("schemes"))), "https")
        return f"{scheme}://{document['host']}{document.get('basePath', '')}".rstrip("/")
    if seen_at.startswith("http"):
        return urljoin(seen_at, str(document.get("basePath") or "/")).rstrip("/")
    return "https://api.example.com"


def _auth(document: Mapping[str, Any]) -> tuple[str, str]:
    """How one logs in, and what is unsure of it."""
    components = mapping(document.get("components"))
    schemes = mapping(components.get("securitySchemes") or document.get("securityDefinitions"))
    if not schemes:
        return "none", _NO_SECURITY
    kinds = [(str(name), *_kind(one)) for name, one in schemes.items() if isinstance(one, Mapping)]
    used = _used(document)
    known = sorted((one for one in kinds if one[1]), key=lambda one: (_OAUTH in one[2], -used[one[0]]))
    if not known:
        words = "; ".join(f"{name} {said}" for name, _, said in kinds)
        return "bearer", f"{words}. See docs/connectors/auth.md for how to say that."
    name, kind, said = known[0]
    others = [each[0] for each in kinds if each[0] != name]
    doubt = f"{name} {said}. " if said else ""
    doubt += f"The document names other ways, too: {', '.join(others)}." if others else ""
    return kind, doubt.strip()


def _used(document: Mapping[str, Any]) -> Counter[str]:
    """How many requests that read each way of logging in is for, and all where it is said of all."""
    reads = [mapping(mapping(item).get("get")) for item in mapping(document.get("paths")).values()]
    said = [one for read in reads for one in sequence(read.get("security") or document.get("security"))]
    return Counter(str(name) for one in said for name in mapping(one))


def _kind(one: Mapping[str, Any]) -> tuple[str, str]:
    """A way of logging in as `new` names it (empty: none of them), and what to look at."""
    kind, scheme = one.get("type"), str(one.get("scheme", "")).lower()
    if kind == "apiKey" and one.get("in") == "header":
        name = str(one.get("name", "X-Api-Key"))
        known = "Does its value begin with a word, such as `Token `? Then say prefix."
        return f"header:{name}", known if name.lower() == "authorization" else ""
    if kind == "apiKey":
        return "", f"is a key in the {one.get('in', 'address')} called {one.get('name', '?')}"
    if kind == "basic" or (kind == "http" and scheme == "basic"):
        return "basic", ""
    if kind == "http":
        return "bearer", ""
    if kind in {"oauth2", "openIdConnect"}:
        return "bearer", f"{_OAUTH}: see oauth2 in docs/connectors/auth.md"
    return "", f"is of the type {kind}"
