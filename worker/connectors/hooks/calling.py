"""What happens when a hook is called? Its answer, if it is one; else a failure that names file, line and kind of error.

No words of an exception are shown: they may hold what a system sent, or a secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from worker.connectors.contract import Moment, Request, Response
from worker.connectors.contract.hook import BaseHook
from worker.connectors.hooks.loading import LoadedHook, line_of
from worker.errors import HeadraceError, InvalidInput, NeedsOperator, RateLimited, Transient

OWN = (NeedsOperator, Transient, RateLimited)
"""What a hook may raise, and mean it."""
_HINT = "This is a mistake in the hook, or something that it didn't expect: docs/connectors/errors.md shows how to try one."


class Calls:
    """The hook of one connection."""

    def __init__(self, hook: LoadedHook, settings: Mapping[str, Any]) -> None:
        self._path = hook.path
        try:
            self._hook: BaseHook = self._guarded("__init__", lambda: hook.kind(settings), hook.kind)
        except OWN as exc:  # the settings aren't such as it needs
            raise InvalidInput(exc.code, exc.message, place="settings", hint=exc.hint) from None

    def request(self, request: Request) -> Request:
        found: Request = self._guarded("request", lambda: self._hook.request(request), Request)
        if not isinstance(found.url, str) or not isinstance(found.body, bytes | None):
            raise self._wrong("request", "a Request whose url is text and whose body is bytes or None")
        return found

    def response(self, response: Response) -> Response:
        found: Response = self._guarded("response", lambda: self._hook.response(response), Response)
        if not isinstance(found.body, bytes) or not isinstance(found.status, int):
            raise self._wrong("response", "a Response whose body is bytes and whose status is a number")
        return found

    def sign(self, request: Request, secrets: Mapping[str, str], moment: Moment) -> Request:
        found: Request = self._guarded("sign", lambda: self._hook.sign(request, secrets, moment), Request)
        if (found.method, found.url, found.body) != (request.method, request.url, request.body):
            raise self._wrong("sign", "the same request, with other headers and parameters only")
        return replace(found, asked=request.asked)

    def failure(self, response: Response) -> HeadraceError | None:
        """What it raises is what it says."""
        try:
            found: HeadraceError | None = self._guarded(
                "failure", lambda: self._hook.failure(response), (*OWN, type(None))
            )
        except OWN as exc:
            return exc
        return found

    def _guarded(self, name: str, call: Callable[[], Any], kind: Any) -> Any:
        try:
            found = call()
        except OWN:
            raise
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - it is the code of a stranger
            line = line_of(exc, self._path)
            where = f"{self._path}:{line}" if line else self._path
            message = f"The hook failed with {type(exc).__name__} in {name} ({where})."
            raise NeedsOperator("hook_failed", message, hint=_HINT) from None
        if not isinstance(found, kind):
            raise self._wrong(name, _WANTED.get(name, "something else"), found)
        return found

    def _wrong(self, name: str, wanted: str, found: Any = ...) -> NeedsOperator:
        came = "" if found is ... else f", not {type(found).__name__}"
        message = f"The hook's {name} must return {wanted}{came} ({self._path})."
        return NeedsOperator("hook_failed", message, hint=_HINT)


_WANTED = {
    "request": "a Request",
    "sign": "a Request",
    "response": "a Response",
    "failure": "None, or a NeedsOperator, Transient or RateLimited",
}
