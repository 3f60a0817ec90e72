"""What do the answers of an OpenAPI document look like? References followed, lists and what stands beside them found. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.connectors.kit import names

DEEPEST = 4
_MOST_REFERENCES = 20


def mapping(node: Any) -> Mapping[Any, Any]:
    """The node if it is an object: documents are written by anybody."""
    return node if isinstance(node, Mapping) else {}


def sequence(node: Any) -> list[Any]:
    """The node if it is a list."""
    return node if isinstance(node, list) else []


class Resolved:
    """Follows `$ref` inside the document, never outside of it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def __call__(self, node: Any) -> dict[str, Any]:
        for _ in range(_MOST_REFERENCES):
            if not isinstance(node, Mapping):
                return {}
            reference = node.get("$ref")
            if reference is None:
                return dict(node)
            node = self._at(str(reference)) if str(reference).startswith("#") else None
        return {}

    def schema(self, node: Any, depth: int = 0) -> dict[str, Any]:
        """With what `allOf` puts together, and the first of several that isn't null."""
        found = self(node)
        if depth > DEEPEST:
            return found
        for several in ("anyOf", "oneOf"):
            if several in found and "properties" not in found:
                ways = (self.schema(part, depth + 1) for part in sequence(found[several]))
                return next((way for way in ways if way and way.get("type") != "null"), found)
        if "allOf" not in found:
            return found
        parts = [self.schema(part, depth + 1) for part in sequence(found["allOf"])]
        merged = {"type": "object", **{key: value for part in parts for key, value in part.items()}}
        merged["properties"] = {
            name: value for part in [*parts, found] for name, value in mapping(part.get("properties")).items()
        }
        return merged

    def properties(self, schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The fields of an object, each with its schema."""
        return {str(name): self.schema(one) for name, one in mapping(schema.get("properties")).items()}

    def _at(self, reference: str) -> Any:
        node: Any = self._document
        for part in reference.removeprefix("#/").split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
        return node


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of objects in an answer."""

    at: tuple[str, ...] | None
    """None: the document doesn't say where."""
    row: dict[str, Any]
    """What an object of it looks like."""
    answer: dict[str, Any]
    """The whole."""


def kind_of(schema: Mapping[str, Any]) -> str:
    """Its type; of several, the first that isn't null."""
    kind = schema.get("type")
    kinds = [one for one in kind if one != "null"] if isinstance(kind, list) else [kind]
    if kinds and isinstance(kinds[0], str):
        return kinds[0]
    return "array" if "items" in schema else "object" if "properties" in schema else ""


def answer_of(resolved: Resolved, operation: Any) -> dict[str, Any]:
    """What a request is answered with when all is well."""
    answers = mapping(mapping(operation).get("responses"))
    good = resolved(next((answers[one] for one in ("200", 200, "2XX", "default") if one in answers), None))
    if "schema" in good:
        return resolved.schema(good["schema"])
    contents = mapping(good.get("content")).items()
    chosen = next((one for kind, one in contents if "json" in str(kind) or kind == "*/*"), None)
    return resolved.schema(mapping(chosen).get("schema"))


def list_in(resolved: Resolved, answer: dict[str, Any]) -> Listed | None:
    """Where an answer holds its list of objects: of several, the one whose name says so, and not too deep."""
    found = list(_lists(resolved, answer, ()))

    def rank(one: tuple[tuple[str, ...], dict[str, Any]]) -> tuple[Any, ...]:
        at = one[0]
        beside = any(names.BESIDE.search(part) for part in at)
        return beside, bool(at) and at[-1].lower() not in names.LISTS, len(at)

    best = min(found, key=rank, default=None)
    return None if best is None else Listed(*best, answer)


def _lists(
    resolved: Resolved, schema: Mapping[str, Any], at: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    if kind_of(schema) == "array":
        row = resolved.schema(schema.get("items"))
        untold = not kind_of(row) and (not at or at[-1].lower() in names.LISTS)
        if kind_of(row) == "object" or untold:
            yield at, row
    elif len(at) < DEEPEST:
        for name, one in resolved.properties(schema).items():
            yield from _lists(resolved, one, (*at, name))


def beside(
    resolved: Resolved, listed: Listed, at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """What stands around a list and is no list or object itself."""
    schema: dict[str, Any] = listed.answer
    for name in at:
        schema = resolved.properties(schema).get(name, {})
    for name, one in resolved.properties(schema).items():
        inner = (*at, name)
        if inner == listed.at or kind_of(one) == "array":
            continue
        if kind_of(one) != "object":
            yield inner, one
        elif len(inner) < DEEPEST:
            yield from beside(resolved, listed, inner)
