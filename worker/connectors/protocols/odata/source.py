"""One connection to an OData service: asked as a REST system is, and able to say what it has."""

from worker.connectors.contract import Discovery, Request
from worker.connectors.protocols.odata.finding import streams_of
from worker.connectors.protocols.odata.metadata import read_metadata
from worker.connectors.protocols.rest import RestSource


class ODataSource(RestSource):
    """An OData service, V4 or V2."""

    def discover(self) -> Discovery:
        """Asks for its metadata."""
        carried = self._carried
        headers = {**carried.headers, "Accept": "application/xml"}
        answer = yield Request("GET", f"{self.base_url}/$metadata", carried.params, headers)
        return streams_of(read_metadata(answer.body))
