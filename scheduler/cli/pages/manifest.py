"""What may a manifest say? The reference page of the docs, written from the schema, so that the two can't differ."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from worker.connectors.manifest.schema import schema

_HEAD = """\
# Manifest reference

A manifest (`<folder>/<system>/manifest.yaml`) says as data what differs between systems. It is checked against
[manifest.schema.json](manifest.schema.json), from which this page is written; mistakes are told with file and line. A first line
`# yaml-language-server: $schema=…/manifest.schema.json` has editors complete and check it.
"""
_KINDS = {
    "string": "text",
    "integer": "whole number",
    "boolean": "true/false",
    "object": "keys",
    "array": "list",
}


def manifest_reference() -> str:
    """The page, in Markdown."""
    whole = schema()
    parts = [_HEAD, *_section("The file", whole, "")]
    parts += _section("A stream", whole["$defs"]["stream"], "streams.<name>.")
    return "\n".join(parts)


def _section(title: str, node: Mapping[str, Any], prefix: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| key | holds | what it is |\n|---|---|---|"
    yield from _rows(node, prefix)
    yield ""


def _rows(node: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, field in node.get("properties", {}).items():
        found = _resolved(field)
        needed = " (required)" if name in node.get("required", []) else ""
        default = f" Default: `{json.dumps(found['default'])}`." if "default" in found else ""
        about = str(found.get("description", "")).replace("|", "\\|")
        yield f"| `{prefix}{name}`{needed} | {_holds(found)} | {about}{default} |"
        if field.get("$ref", "").endswith("/stream") or name == "streams":
            continue
        yield from _rows(found, f"{prefix}{name}.")
        if isinstance(below := found.get("additionalProperties"), dict):
            yield from _rows(_resolved(below), f"{prefix}{name}.<name>.")
        if isinstance(entry := found.get("items"), dict) and "properties" not in found:
            yield from _rows(_resolved(entry), f"{prefix}{name}[].")


def _resolved(field: Mapping[str, Any]) -> dict[str, Any]:
    """A field with what its reference says; the field's own words come first."""
    if "$ref" not in field:
        return dict(field)
    return {**schema()["$defs"][field["$ref"].rsplit("/", 1)[1]], **field}


def _holds(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    kinds = field.get("type", "string")
    return " or ".join(_KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))


if __name__ == "__main__":
    whole = manifest_reference() if sys.argv[1:] != ["schema"] else json.dumps(schema(), indent=2)
    sys.stdout.write(whole.rstrip() + "\n")
