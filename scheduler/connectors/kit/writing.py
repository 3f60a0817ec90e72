"""How does a first manifest stand in its file? In the order in which a person reads it, with what is unsure beside it. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from scheduler.connections.file.export import to_yaml
from worker.connectors.manifest.model import Manifest, manifest_in
from worker.errors import InvalidInput
from worker.parsing.documents import read_document

REVIEW = "REVIEW: "
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_WIDTH = 100


@dataclass
class Sketch:
    """What is known of a system so far."""

    system: str
    title: str
    base_url: str
    auth: str = "bearer"
    """none, bearer, basic, header:NAME, or header:NAME:WORD."""
    docs: str | None = None
    streams: dict[str, dict[str, Any]] = field(default_factory=dict)
    remarks: dict[str, dict[str, str]] = field(default_factory=dict)
    """By stream and key: what somebody should look at."""
    description: str = ""
    settings: tuple[str, ...] = ()
    """What each connection says besides the base URL: the names in { } of paths and parameters."""
    auth_remark: str = ""
    left_out: Sequence[str] = ()
    """What somebody should know of streams that aren't there."""


def secret_names(auth: str) -> tuple[str, ...]:
    """The secrets that a way of logging in needs."""
    return {"none": (), "basic": ("username", "password")}.get(auth, ("token",))


def manifest_text(sketch: Sketch) -> str:
    """The file: a manifest that is valid as it stands."""
    head = [
        f"# {_line(sketch.title)}: what differs from other systems. Reference: docs/connectors/manifest.md",
        "manifest: 1",
    ]
    head += [f"system: {sketch.system}", f"title: {_scalar(sketch.title)}", "version: 0.1.0"]
    head += [f"docs: {_scalar(sketch.docs)}"] if sketch.docs else []
    fixed = "{" in sketch.base_url
    head += ["protocol: rest", f"base_url: {json.dumps(sketch.base_url if fixed else '{base_url}')}", ""]
    known = "Where the API lives; another one for a test account."
    settings: dict[str, dict[str, Any]] = (
        {} if fixed else {"base_url": {"default": sketch.base_url, "description": known}}
    )
    for name in sketch.settings:
        settings[name] = {"required": True, "description": f"Say what a person gives as {name}."}
    blocks = [to_yaml({"settings": settings})] if settings else []
    if secret_names(sketch.auth):
        secrets = {
            name: {
                "description": f"The {name} of an account that may read.",
                "find": "Say where a person finds it in the system.",
            }
            for name in secret_names(sketch.auth)
        }
        blocks.append(to_yaml({"secrets": secrets}))
    doubt = f"{_review(sketch.auth_remark)}\n" if sketch.auth_remark else ""
    blocks.append(doubt + to_yaml({"auth": _auth(sketch.auth)}))
    blocks.append(
        f"# {REVIEW}what does the system allow one account? See docs/limits.md.\n"
        + to_yaml({"limits": {"requests": 60, "per": "1m", "concurrency": 2}})
    )
    return "\n".join(["\n".join(head), *blocks, _streams(sketch)])


def _auth(auth: str) -> dict[str, Any]:
    kind, _, name = auth.partition(":")
    match kind:
        case "basic":
            return {"basic": {"username": {"secret": "username"}, "password": {"secret": "password"}}}
        case "header":
            name, _, word = name.partition(":")
            prefix = {"prefix": f"{word} "} if word else {}
            return {"header": {"name": name or "X-Api-Key", **prefix, "secret": "token"}}
        case "none":
            return {"none": {}}
        case _:
            return {"bearer": {"secret": "token"}}


def _streams(sketch: Sketch) -> str:
    lines = [*map(_review, sketch.left_out), "streams:"]
    for name, stream in sketch.streams.items():
        remarks = sketch.remarks.get(name, {})
        lines.append(f"  {name}:")
        lines += [f"    {_review(text)}" for key, text in remarks.items() if key not in stream]
        for key, value in stream.items():
            lines += [f"    {_review(remarks[key])}"] if key in remarks else []
            lines += list(_entry(key, value))
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any) -> Iterator[str]:
    flow = yaml.safe_dump(
        {key: value}, default_flow_style=True, width=2**20, allow_unicode=True, sort_keys=False
    ).strip()
    line = flow[1:-1] if flow.startswith("{") else flow
    if len(line) < _WIDTH:
        yield f"    {line}"
    else:
        yield from (f"    {text}" for text in to_yaml({key: value}).splitlines())


def manifest_of(sketch: Sketch) -> Manifest:
    """The manifest that the file would be. Nothing names a line of a file that isn't there."""
    text = manifest_text(sketch)
    try:
        return manifest_in(read_document(text.encode(), "manifest.yaml"))
    except InvalidInput as exc:
        line = str(exc.place or "").rpartition(":")[2]
        said = text.splitlines()[int(line) - 1].strip() if line.isdecimal() else ""
        about = f" in {said!r}" if said else ""
        raise InvalidInput(
            exc.code, f"Nothing was written, since it would be wrong{about}: {exc.message}", hint=exc.hint
        ) from None


def _review(text: str) -> str:
    return f"# {REVIEW}{_line(text)}"


def _line(text: str) -> str:
    """On one line: what a system or a document calls its things must not go on behind a remark."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _scalar(value: str) -> str:
    return to_yaml(value).strip().removesuffix("...").strip()


def readme_text(sketch: Sketch) -> str:
    """The page beside it: what it is, its quirks with their sources, and the report of the checks."""
    return (
        f"# {sketch.title}\n\n{sketch.description or 'What it keeps, and which of it is synced.'}\n\n"
        "## Quirks\n\nWhat surprised you, with the day and the source of each.\n\n"
        '## Tried on\n\nNothing yet. Say it in the manifest, too: `tried: [{on: NAME AND RELEASE, at: "YYYY-MM-DD"}]`.\n\n'
        "<!-- conformance -->\n<!-- /conformance -->\n"
    )


def name_of(text: str, taken: Sequence[str] = ()) -> str:
    """A name in the manner of systems and streams, each once."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    plain = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or "stream"
    plain = (plain if plain[0].isalpha() else f"s_{plain}")[:60]
    if plain not in taken:
        return plain
    return next(name for number in range(2, 10_000) if (name := f"{plain}_{number}") not in taken)


def is_name(text: str) -> bool:
    """Whether a system may be called so."""
    return _NAME.fullmatch(text) is not None


def with_guess(sketch: Sketch, name: str, stream: Mapping[str, Any], remarks: Mapping[str, str]) -> None:
    """Add a stream and what is unsure of it."""
    sketch.streams[name] = dict(stream)
    sketch.remarks[name] = dict(remarks)
