"""What does a Tryton server remember of deletes? Its log, `ir.model.log`: one row for each record that went.

A row names the record as `model,id` and is never changed, so its own id and date are its place. Only administrators may
read it unless access is given, so a connection has to say that it may be asked.
"""

from dataclasses import replace

from worker.connectors.contract import Gone, Page, Record
from worker.connectors.manifest.streams import StreamManifest
from worker.connectors.reading.fields import walk
from worker.connectors.reading.gone import when_of
from worker.connectors.reading.suspects import parse_carefully
from worker.errors import BadRecord

LOG = "ir.model.log"


def log_of(spec: StreamManifest) -> StreamManifest:
    """The part of the log that tells of a model's deletes, as a stream: its dates are those of every other model."""
    domain = (["event", "=", "delete"], ["resource", "like", f"{spec.model},%"])
    return replace(spec, model=LOG, fields=("resource",), domain=domain)


def buried_in_log(page: Page, model: str) -> Page:
    """A page of the log. The rows stay in `records`, too, for the cursor; they are no content."""
    page.gone = [Gone(key, "tombstone", when_of(row)) for row in page.records if (key := _key_in(row, model))]
    return page


def _key_in(row: Record, model: str) -> str | None:
    """The record's id, where the row is of this model: `like` finds more than it should."""
    try:
        resource = walk(parse_carefully(row.raw), ("resource",))
    except BadRecord:
        return None
    name, _, key = str(resource).partition(",")
    return key if name == model and key.isdecimal() else None
