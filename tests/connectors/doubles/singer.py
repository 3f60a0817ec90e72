"""A tap that a connection describes: a real program (`plant_tap`), which reads what the checks changed, in runs of its own.

It is started, fed with its STATE, heard and ended by the worker's own means, in small batches so that a few records make many.
"""

import atexit
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from shutil import rmtree
from typing import Any, ClassVar, Self
from uuid import uuid4

from scheduler.connectors.check import Carried, Row, Table, iso
from scheduler.connectors.check.double.any_double import Kind
from worker.http.carrier import Carrier
from worker.taps.carrier import TapCarrier
from worker.taps.house import House

TAP = Path(__file__).with_name("plant_tap.py")
BATCH = 5
PLANTS: list[Path] = []
"""Files that nobody reads any more: the same config again, so the tap's catalog is known from before."""


@cache
def home() -> Path:
    """Headrace's, where taps keep what they find: one for the process."""
    folder = tempfile.mkdtemp(prefix="headrace-check-")
    atexit.register(rmtree, folder, ignore_errors=True)
    return Path(folder)


class Singer(Carried):
    """A plant that a tap reads by a field that grows, by a log that tells of deletes, and whole for a sweep."""

    system = "singer"
    transport = "tap"
    played_by = "a tap of our own, a program for each run, whose rows the checks change"
    uncounted = "A tap asks its system by itself, and nobody here sees how often."
    secrets: ClassVar[Mapping[str, str]] = {"token": "token-of-the-tap"}
    troubles: ClassVar[Mapping[str, Kind]] = {
        "failing": "transient",
        "cut": "transient",
        "forbidden": "operator",
        "throttled": "rate_limited",
    }
    tables: ClassVar[Mapping[str, Table]] = {
        "orders": Table(),
        "parts": Table(),
    }

    def __enter__(self) -> Self:
        self._plant = PLANTS.pop() if PLANTS else home() / f"plant-{uuid4().hex}.json"
        self._carriers: list[TapCarrier] = []
        self._write(None)
        return self

    def __exit__(self, *_: object) -> None:
        PLANTS.append(self._plant)

    def settings(self) -> Mapping[str, Any]:
        """The description of two streams."""
        whole = {"tap": {"stream": "orders", "replication": "full_table"}}
        return {
            "tap": str(TAP),
            "describe": {
                "singer": {"config": {"plant": str(self._plant), "token": "{secret:token}"}},
                "secrets": {"token": {}},
                "streams": {
                    "orders": {
                        "tap": {
                            "stream": "orders",
                            "replication": "incremental",
                            "replication_key": "updated_at",
                        },
                        "key": "id",
                        "deletes": {"sweep": whole},
                    },
                    "parts": {"tap": {"stream": "parts", "replication": "log_based"}, "key": "id"},
                },
            },
        }

    def carrier(self) -> Carrier:
        found = TapCarrier(House(home(), (str(TAP),), batch=BATCH))
        self._carriers.append(found)
        return found

    def render(self, stream: str, row: Row) -> dict[str, Any]:
        record = super().render(stream, row)
        if stream == "parts" and row.deleted is not None:
            record["_sdc_deleted_at"] = iso(row.deleted)
        return record

    def echoes(self) -> Sequence[str]:
        """Its last words may be anything."""
        return ["echo"]

    @contextmanager
    def suffering(self, trouble: str) -> Iterator[None]:
        """The next program that is started has it; what runs is ended."""
        for carrier in self._carriers:
            carrier.close()
        self._write(trouble)
        try:
            yield
        finally:
            self._write(None)

    def settle(self) -> None:
        self._write(None)

    def _write(self, trouble: str | None) -> None:
        streams = {
            "orders": [(iso(row.changed), row) for row in self.rows("orders")],
            "parts": [(row.serial, row) for row in self.rows("parts", order="serial", gone=True)],
        }
        said = {
            name: [{"mark": mark, "record": self.show(name, row)} for mark, row in rows]
            for name, rows in streams.items()
        }
        known = {"token": self.secrets["token"], "trouble": trouble, "streams": said}
        self._plant.write_text(json.dumps(known), encoding="utf-8")
