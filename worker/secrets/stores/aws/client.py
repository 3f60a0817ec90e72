"""How is AWS asked, and what do its answers mean? One client for each region; credentials that have expired are made anew.

By the client's own chain; for an account that has a name, `aws-sm+test://`, by the profile of AWS_PROFILE_TEST and nothing else
that the chain has in the environment.
"""

from threading import Lock
from typing import Any

from worker.secrets.stores.env import called, variable
from worker.secrets.stores.extra import load, login_refused
from worker.secrets.stores.port import StoreUnavailable
from worker.telemetry.redaction import redactor

CONNECT, READ = 3.0, 5.0
_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "UnrecognizedClientException",
}
_NO_SET_UP = {
    "CredentialRetrievalError",
    "NoCredentialsError",
    "NoRegionError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
_HINT = "Give Headrace credentials and a region by AWS's own chain: docs/secrets.md#aws-secrets-manager."


class NotThere(Exception):
    """There is no such secret, version or label."""


class Denied(Exception):
    """The role may not do that, or the key can't be used."""


class Raced(Exception):
    """Somebody else was there first, or what was asked can't be done in this state."""


class AwsClients:
    """Safe between threads; connects when it is first asked. `name`: of the account, where it is not everybody's."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._lock = Lock()
        self._clients: dict[str | None, Any] = {}

    def place(self, region: str | None) -> str:
        where = region or self._own("AWS_REGION") or (None if self._name else variable("AWS_DEFAULT_REGION"))
        service = f"AWS Secrets Manager {self._name}".strip()
        return f"{service} in {where}" if where else service

    def call(self, region: str | None, action: str, given: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises `NotThere`, `Denied`, `Raced`, `StoreUnavailable`, and `NeedsOperator` where AWS lets nobody in."""
        try:
            return self._sent(region, action, given)
        except _Expired:
            with self._lock:
                self._clients.pop(region, None)
        try:
            return self._sent(region, action, given)
        except _Expired as exc:
            raise login_refused(self.place(region), f"the credentials are refused ({exc})", _HINT) from None

    def _sent(self, region: str | None, action: str, given: dict[str, Any]) -> dict[str, Any]:
        errors = load("aws-sm", "aws", "botocore.exceptions")[0]
        try:
            answer: dict[str, Any] = getattr(self._client(region), action)(**given)
        except errors.ClientError as exc:
            raise self._meaning(region, exc.response) from None
        except errors.BotoCoreError as exc:
            kind = type(exc).__name__
            if kind in _NO_SET_UP:
                raise login_refused(
                    self.place(region), f"no usable credentials or region ({kind})", _HINT
                ) from None
            if kind == "ParamValidationError":
                raise Raced("the request can't be sent") from None
            raise StoreUnavailable(self.place(region), f"asking it failed ({kind})") from None
        return answer

    def _meaning(self, region: str | None, answer: dict[str, Any]) -> Exception:
        code = str(answer.get("Error", {}).get("Code") or "")
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
        if code == "ResourceNotFoundException":
            return NotThere()
        if code in _CREDENTIALS:
            return _Expired(code)
        if status >= 500 or status == 429 or "Throttl" in code or code == "TooManyRequestsException":
            return StoreUnavailable(self.place(region), f"it answered {code or status}")
        if code in {"AccessDeniedException", "AccessDenied", "DecryptionFailure", "EncryptionFailure"}:
            return Denied(f"AWS refuses it ({code})")
        said = redactor.redact(" ".join(str(answer.get("Error", {}).get("Message") or "").split()))[:200]
        return Raced(f"AWS refuses it ({code}: {said})".replace(": )", ")"))

    def _client(self, region: str | None) -> Any:
        boto3, config = load("aws-sm", "aws", "boto3", "botocore.config")
        with self._lock:
            if region not in self._clients:
                settings = config.Config(
                    ignore_configured_endpoint_urls=bool(self._name) or None,  # they are everybody's
                    connect_timeout=CONNECT,
                    read_timeout=READ,
                    retries={"total_max_attempts": 2, "mode": "standard"},
                    max_pool_connections=16,
                )
                # AWS_REGION is what every other client of AWS heeds; this one knows AWS_DEFAULT_REGION alone.
                self._clients[region] = self._session(boto3).client(
                    "secretsmanager",
                    region_name=region or self._own("AWS_REGION"),
                    endpoint_url=self._own("AWS_ENDPOINT_URL") if self._name else None,
                    config=settings,
                )
            return self._clients[region]

    def _session(self, boto3: Any) -> Any:
        if not self._name:
            return boto3.session.Session()
        if (profile := self._own("AWS_PROFILE")) is None:
            why = f"{called('AWS_PROFILE', self._name)} isn't set"
            raise login_refused(self.place(None), why, _HINT)
        return boto3.session.Session(profile_name=profile)

    def _own(self, name: str) -> str | None:
        return variable(called(name, self._name))


class _Expired(Exception):
    """The credentials are not taken, or not any more."""
