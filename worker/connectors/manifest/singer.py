"""What does a manifest, or a connection's `describe`, say of a Singer tap? How it is called, and which of its streams are read."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from worker.connectors.contract import StreamTraits
from worker.connectors.manifest.checking import check_secret
from worker.parsing.documents import Document

CatalogBy = Literal["catalog", "properties", "none"]
Method = Literal["incremental", "log_based", "full_table"]

DELETED_AT = "_sdc_deleted_at"
"""The field by which taps that read a database's log say that a row is gone."""
_SECRET = re.compile(r"\{secret:([a-z][a-z0-9_]*)\}")
_OWN = ("incremental", "paging", "single", "filters", "total", "explode", "detail")
"""What a tap does by itself, or can't be asked for."""


@dataclass(frozen=True, slots=True)
class SingerManifest:
    """How the tap is called."""

    config: Mapping[str, Any] = field(default_factory=dict)
    executable: str | None = None
    catalog: CatalogBy = "catalog"


@dataclass(frozen=True, slots=True)
class TapStream:
    """Which of the tap's streams it is, and how it is read."""

    stream: str
    method: Method = "full_table"
    replication_key: str | None = None
    leave_out: tuple[str, ...] = ()

    @property
    def has_state(self) -> bool:
        """Its STATE leads the next run on."""
        return self.method != "full_table"


def read_singer(document: Document) -> SingerManifest:
    """The section `singer`; a place for a secret that isn't named is told with where it stands."""
    found = document.data.get("singer", {})
    for path, name in secrets_in(found.get("config", {})):
        check_secret(document, ("singer", "config", *path), name)
    return SingerManifest(found.get("config", {}), found.get("executable"), found.get("catalog", "catalog"))


def read_tap(
    data: Mapping[str, Any], complain: Callable[[Sequence[str], str], Exception]
) -> TapStream | None:
    """The tap's stream; None: it is no stream of a tap."""
    found = data.get("tap")
    if found is None:
        return None
    for key in _OWN:
        if data.get(key):
            raise complain((key,), f"a tap reads by itself: {key} says nothing to it.")
    if {"tombstones", "removed"} & data.get("deletes", {}).keys():
        raise complain(("deletes",), "a tap tells of deletes in its records, or not at all.")
    return TapStream(
        found["stream"],
        found.get("replication", "full_table"),
        found.get("replication_key"),
        tuple(found.get("leave_out", ())),
    )


def tap_traits(tap: TapStream, *, part: str, interval: float) -> StreamTraits:
    """Whole, or on from a STATE; `part` of its deletes is always whole. A tap's pages come from one process."""
    goes_on = tap.has_state and not part
    return StreamTraits(goes_on, False, not goes_on, interval=interval, token=goes_on, unbroken=True)


def tap_words(data: Mapping[str, Any], part: str = "") -> dict[str, Any]:
    """A stream's words with what every tap does: one that reads a log says by a field of its own what is gone."""
    by_log = data.get("tap", {}).get("replication") == "log_based" and not part
    return {"deleted": DELETED_AT, **data} if by_log else dict(data)


def secrets_in(config: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The secrets whose places a config holds, and where."""
    if isinstance(config, str):
        yield from ((path, name) for name in _SECRET.findall(config))
    elif isinstance(config, Mapping):
        for name, value in config.items():
            yield from secrets_in(value, (*path, name))
    elif isinstance(config, list):
        for at, value in enumerate(config):
            yield from secrets_in(value, (*path, at))


def with_secrets(config: Any, value_of: Callable[[str], str]) -> Any:
    """The config as the tap gets it."""
    if isinstance(config, str):
        return _SECRET.sub(lambda place: value_of(place[1]), config)
    if isinstance(config, Mapping):
        return {name: with_secrets(value, value_of) for name, value in config.items()}
    if isinstance(config, list):
        return [with_secrets(value, value_of) for value in config]
    return config
