"""Where a manifest's words end: one class of a connector's own, in `hook.py` beside its manifest.

    from worker.connectors.contract import BaseHook, Response

    class Hook(BaseHook):
        def response(self, response: Response) -> Response: ...

A hook describes and changes plain data, as everything in a connector does; it sends nothing. One is made for each
connection and used by many threads at once, so it keeps nothing that changes. What isn't overridden stays as it is.
"""

from collections.abc import Mapping
from typing import Any

from worker.connectors.contract.auth import Moment
from worker.connectors.contract.exchange import Request, Response
from worker.errors import HeadraceError


class BaseHook:
    """The base of every hook. `settings` are the connection's, with defaults; secrets are never among them."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings

    def request(self, request: Request) -> Request:
        """What is sent instead of this, before it gets its proof: `dataclasses.replace(request, …)`."""
        return request

    def response(self, response: Response) -> Response:
        """What is read instead of this, before anything in it is looked at, errors too. Log-ins don't pass here."""
        return response

    def sign(self, request: Request, secrets: Mapping[str, str], moment: Moment) -> Request:
        """The request with a proof of the hook's own, as the last thing before it is sent: in headers and parameters.

        Only here secrets are at hand, opened, by the names that the manifest gives them. Log-ins aren't signed.
        """
        del secrets, moment
        return request

    def failure(self, response: Response) -> HeadraceError | None:
        """What the system says by this, where it says no; None: the manifest's rules and the status decide."""
        del response
        return None
