"""Which entities does the demo plant have, and how are their ids and times written?

Everything here is a table or a pure function; records are plain dicts in the order of their fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Record = dict[str, Any]
RecordId = int | str

Kind = Literal["change", "delete", "purge", "restore"]
"""A deleted record carries a flag, a purged one vanishes with all that was in it. Either can be restored."""


@dataclass(frozen=True, slots=True)
class Entity:
    """`form` writes the number of a record as its id: None for plain integers."""

    name: str
    form: str | None = None

    def id_of(self, number: int) -> RecordId:
        return number if self.form is None else self.form.format(number)

    def number_of(self, record_id: RecordId) -> int:
        """The number within an id; 0 for an id that somebody made up."""
        if isinstance(record_id, int):
            return record_id
        digits = record_id.rpartition("-")[2]
        return int(digits) if digits.isascii() and digits.isdigit() else 0

    def parse_id(self, text: str) -> RecordId | None:
        """The id that a URL names, or None if no record can have it."""
        if self.form is not None:
            return text
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


ENTITIES: Mapping[str, Entity] = {
    entity.name: entity
    for entity in (
        Entity("sites", "SITE-{:02d}"),
        Entity("vendors"),
        Entity("parts", "PRT-{:05d}"),
        Entity("assets"),
        Entity("stock_levels"),
        Entity("work_orders"),
        Entity("purchase_orders"),
    )
}
"""In the order in which they refer to each other: a record refers only to entities before its own, or to its own."""


@dataclass(frozen=True, slots=True)
class Change:
    """One wish: create a record (id None), change fields of one, or see to its end. The store stamps the times."""

    entity: str
    id: RecordId | None
    fields: Mapping[str, Any]
    kind: Kind = "change"
    without: tuple[str, ...] = ()
    """Fields that vanish from the record."""


def iso(milliseconds: int) -> str:
    """`2026-03-01T07:12:09.041Z`: always UTC, always three digits."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def parse_iso(text: str) -> int:
    """Milliseconds since 1970. Raises ValueError for what is no time, or has no time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    # By whole numbers: a float would now and then lose the last millisecond.
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def day(milliseconds: int) -> str:
    return iso(milliseconds)[:10]
