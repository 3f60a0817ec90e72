"""What does a manifest say of one stream? Frozen data; read from the document by `reading`."""

from dataclasses import dataclass, field
from typing import Any

from worker.connectors.contract import StreamTraits
from worker.connectors.manifest.requests import Asked
from worker.connectors.manifest.singer import TapStream
from worker.connectors.manifest.streams.detail import Detail
from worker.connectors.manifest.streams.incremental import Incremental
from worker.connectors.manifest.streams.relation import Relation
from worker.connectors.manifest.streams.single import Single
from worker.connectors.manifest.views.tables import TableTraits
from worker.connectors.paging.paging import Paging
from worker.connectors.reading.shape import Removed, Shape


@dataclass(frozen=True, slots=True)
class StreamManifest:
    """One stream as the manifest describes it."""

    name: str
    title: str
    traits: StreamTraits
    shape: Shape
    paging: Paging
    incremental: Incremental | None = None
    asked: Asked = field(default_factory=Asked)
    model: str = ""
    fields: tuple[str, ...] = ()
    domain: tuple[Any, ...] = ()
    table: TableTraits = field(default_factory=TableTraits)
    removed: Removed | None = None
    swept: "StreamManifest | None" = None
    """The same as a list of what is there, for its keys alone; None: it can't be listed."""
    tombstones: "StreamManifest | None" = None
    """The list of what was deleted; None: the system keeps none."""
    buries: int = 0
    """Of a list of tombstones: how many fields name the parent of all that is gone with it; 0: it names records."""
    tombstones_setting: str | None = None
    """It is asked for only where this setting is true."""
    single: Single | None = None
    """How one record is asked for; None: it can't be, or the protocol knows how."""
    detail: Detail | None = None
    """The list says only which records there are; None: it holds them."""
    filters: tuple[str, ...] = ()
    """By which parameters or fields the system can be asked for some of the records."""
    relation: Relation | None = None
    """Of a database: what is read."""
    tap: TapStream | None = None
    """Of a Singer tap: which of its streams."""
    rows: int = 0
    """Of a database: rows in a page; 0: as the connection says."""
