"""A REST API that a connection describes itself: two streams of the plain system, in the words of its manifest."""

from collections.abc import Mapping
from typing import Any, ClassVar

from connectors.doubles.plain import MANIFEST, Plain

from scheduler.connectors.check import Table
from worker.parsing.documents import read_document

SAID = read_document(MANIFEST.encode(), "manifest.yaml").data
STREAMS = ("by_offset", "by_cursor")


class Rest(Plain):
    """What its connection says stands in the setting `describe`."""

    system = "rest"
    tables: ClassVar[Mapping[str, Table]] = {name: Plain.tables[name] for name in STREAMS}

    def settings(self) -> Mapping[str, Any]:
        own = {name: SAID[name] for name in ("auth", "errors", "defaults", "secrets")}
        streams = {name: SAID["streams"][name] for name in STREAMS}
        return {"base_url": self.base_url, "describe": {**own, "streams": streams}}
