"""Entra ID gives out tokens by client credentials, and the services of Dynamics 365 take them.

From Microsoft's pages on the client credentials grant of the v2.0 endpoint, read on 2026-11-24: a form in, a bearer token of an
hour out; what is wrong is told by `error` and an `AADSTS` code, with 401 for a wrong secret and 400 for the rest.
"""

from collections.abc import Mapping
from typing import ClassVar

from connectors.doubles.odata_server import ODataServer

from scheduler.connectors.check import Answer, Call

TENANT = "8f3a3b2c-5d0e-4b8f-9a3e-0c1d2e3f4a5b"


class Entra(ODataServer):
    """A service of Dynamics 365 with its log-in, on one host."""

    secrets: ClassVar[Mapping[str, str]] = {
        "client_id": "0d1c5b1e-double-client",
        "client_secret": "double~secret.of-entra",
    }

    def _scope(self) -> str:
        """What tokens are asked for."""
        raise NotImplementedError

    def is_login(self, call: Call) -> bool:
        return call.path == f"/{TENANT}/oauth2/v2.0/token"

    def _log_in(self, call: Call) -> Answer:
        form = call.form
        if form.get("grant_type") != "client_credentials" or form.get("scope") != self._scope():
            return _told(400, "invalid_scope", "AADSTS70011: The provided value for scope is not valid.")
        if form.get("client_id") != self.secrets["client_id"]:
            return _told(
                400, "unauthorized_client", "AADSTS700016: Application was not found in the directory."
            )
        if form.get("client_secret") != self.secrets["client_secret"]:
            return _told(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        token = self.issue()
        said = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}
        return Answer(body=said)

    def admits(self, call: Call) -> bool:
        return self.knows(call.headers.get("authorization", "").removeprefix("Bearer "))


def _told(status: int, code: str, words: str) -> Answer:
    return Answer(status, {"error": code, "error_description": words, "error_codes": []})
