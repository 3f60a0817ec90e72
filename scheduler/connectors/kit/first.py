"""What does somebody mean who names a first list? A path, its parameters, and what of it each connection says. Pure.

/buckets/{bucket}/records?state=open      path /buckets/{bucket}/records, params {state: open}, settings bucket
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from scheduler.connectors.kit.names import named_in
from worker.errors import InvalidInput

_PLACE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_PATH = re.compile(r"/[^\s?#{}]*")
_USER = re.compile(r"^(https?://)[^/?#]*@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class First:
    """A list to begin with."""

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    """The names in { }, in their order."""


def first_of(text: str, base_url: str, more: Mapping[str, str]) -> First:
    """Read what was given as --path and --param; `InvalidInput` says what can't be meant."""
    text = text.strip()
    if "://" in text:
        if not text.startswith(f"{base_url}/"):
            hint = f"Such as /orders for {base_url}/orders."
            raise InvalidInput("bad_value", "The path stands below --base-url.", place="--path", hint=hint)
        text = text.removeprefix(base_url)
    path, _, query = text.partition("#")[0].partition("?")
    path = path if path.startswith("/") else f"/{path}"
    params: dict[str, Any] = {}
    for name, value in [*parse_qsl(query, keep_blank_values=True), *more.items()]:
        params[name] = [*_listed(params[name]), value] if name in params else value
    path, params = setting_names(path), {name: _in_values(value) for name, value in params.items()}
    if not _PATH.fullmatch(_PLACE.sub("x", path)):
        raise InvalidInput(
            "bad_value",
            f"{path!r} is no path.",
            place="--path",
            hint="Such as /orders or /sites/{site}/orders.",
        )
    return First(
        path, params, names_of([path, *(one for value in params.values() for one in _listed(value))])
    )


def setting_names(text: str) -> str:
    """The text with its places called as settings are: {orderId} is {order_id}."""
    return _PLACE.sub(lambda found: f"{{{_setting(found[1])}}}", text)


def for_each(paths: Iterable[str], streams: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What to say where one of these lists lies below each record of a stream."""
    lists = {str(stream["path"]).rstrip("/"): name for name, stream in streams.items()}
    for path in paths:
        above, _, place = path.rpartition("/{")
        behind = place.partition("}")[2]
        if above in lists and behind.strip("/"):
            said = (
                f"{path} can be asked for once for each of {lists[above]}, as a stream with explode: {{of: {lists[above]}, …}}, "
                f"detail: {{}} and single: {{path: {above}/{{key}}{behind}}}; see docs/connectors/records.md."
            )
            return [said]
    return []


def names_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The names in { }, each once."""
    return tuple(dict.fromkeys(name for text in texts for name in _PLACE.findall(text)))


def check_base_url(base_url: str) -> tuple[str, ...]:
    """Where an API begins: its names in { }; `InvalidInput` for what is no such URL."""
    parts = urlsplit(_PLACE.sub("x", base_url))
    if (
        parts.scheme not in {"http", "https"}
        or not parts.netloc
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
        or not base_url.isascii()
        or " " in base_url
    ):
        hint = "A query goes behind --path, and a password into a secret."
        raise InvalidInput("bad_value", "It must be like https://host/path.", place="--base-url", hint=hint)
    return names_of([base_url])


def without_user(address: str) -> str:
    """An address without who asks, which is nothing to show or keep."""
    return _USER.sub(r"\1", address)


def after_guess(
    params: Mapping[str, Any], paging: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters that paging says itself are said there alone, with the size that somebody asked for."""
    said = named_in(paging)
    kept = {name: value for name, value in params.items() if name not in said}
    sizes = [str(params[name]) for name, size in said.items() if size is not None and name in params]
    if sizes and sizes[0].isdecimal() and int(sizes[0]) > 0:
        (kind,) = paging
        return kept, {kind: {**paging[kind], "size": int(sizes[0])}}
    return kept, dict(paging)


def _in_values(value: Any) -> Any:
    return [setting_names(one) for one in value] if isinstance(value, list) else setting_names(value)


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _setting(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")
    if not _NAME.fullmatch(plain):
        raise InvalidInput(
            "bad_value",
            f"{{{name}}} can't be a setting.",
            place="--path",
            hint="Its name is of lower case letters, digits and _, such as {site}.",
        )
    return plain
