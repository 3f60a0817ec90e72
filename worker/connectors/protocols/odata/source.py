"""One connection to an OData service: asked as a REST system is, and able to say what it has."""

from collections.abc import Sequence

from worker.connectors.contract import Discovery, Found, Request
from worker.connectors.protocols.odata.finding import streams_of
from worker.connectors.protocols.odata.metadata import read_metadata
from worker.connectors.protocols.rest import RestSource

NOT_THERE = 404


class ODataSource(RestSource):
    """An OData service, V4 or V2; or several below one root, as SAP has one for each kind of document."""

    def discover(self) -> Discovery:
        """Asks for the metadata. Of several services one that isn't there is passed over."""
        carried, services = self._carried, self._services()
        headers = {**carried.headers, "Accept": "application/xml"}
        absent = frozenset({NOT_THERE} if len(services) > 1 else ())
        found: list[Found] = []
        names: set[str] = set()
        for service in services:
            url = f"{self.base_url}{service}/$metadata"
            answer = yield Request("GET", url, carried.params, headers, absent=absent)
            if answer.status not in absent:
                found += streams_of(read_metadata(answer.body), service.removeprefix("/"), names)
        return found

    def _services(self) -> Sequence[str]:
        """Where the services live whose entity sets the manifest reads; what a setting stands in is no service."""
        paths = [spec.asked.path for spec in self.manifest.streams.values()]
        return list(dict.fromkeys(path.rpartition("/")[0] for path in paths if "{" not in path)) or [""]
