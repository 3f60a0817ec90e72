"""How is a request that changes something let through where a token against forgery is asked for? On top of another proof.

The token is fetched before the first such request (`x-csrf-token: Fetch`), goes with the cookies that came with it, and is
fetched once more when the system says that it is good no longer (403 and `x-csrf-token: Required`). Requests that only read
go as they are.
"""

from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, replace

from worker.connectors.answers import failure_of_status, words_of
from worker.connectors.auth.cookies import cookies_in, with_cookies, written_cookies
from worker.connectors.auth.layered import Layered, last_answer
from worker.connectors.contract import NO_CSRF_TOKEN, Request, Response, Step
from worker.errors import AuthExpired, HeadraceError, NeedsOperator, RateLimited, Transient

HELD = "csrf"
"""Token and cookies in one value, a line each: one of them is no good without the other."""
READS = frozenset({"GET", "HEAD", "OPTIONS"})


def failure_by_status(response: Response) -> HeadraceError | None:
    """What an answer says where the manifest says nothing of it."""
    return failure_of_status(response.status, words_of(response))


@dataclass(frozen=True, slots=True)
class CsrfAuth(Layered):
    """The token of one connection."""

    url: str
    method: str = "GET"
    header: str = "x-csrf-token"
    asks: str = "Fetch"
    """What the header says where a token is asked for."""
    refused: str = "Required"
    """What it says in a 403 where the token is good no longer."""
    cookies: Collection[str] | None = None
    """Which go with it; None: all."""
    meaning: Callable[[Response], HeadraceError | None] = failure_by_status
    """What the system says by an answer, in words of its own."""

    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        if request.method.upper() in READS:
            yield from self.inner.flow(request, secrets, held)
            return
        kept = held.get(HELD) or (yield from self._fetch(secrets, held))
        answer = yield from last_answer(self.inner.flow(self._with(request, kept), secrets, held))
        if (
            answer.status != 403
            or answer.headers.get(self.header.lower(), "").lower() != self.refused.lower()
        ):
            return
        if held.get(HELD) == kept:  # nobody has fetched another meanwhile
            held.pop(HELD, None)
        kept = held.get(HELD) or (yield from self._fetch(secrets, held))
        yield from self.inner.flow(self._with(request, kept), secrets, held)

    def _fetch(self, secrets: Mapping[str, str], held: dict[str, str]) -> Generator[Step, Response, str]:
        asking = Request(
            self.method, self.url, headers={"Accept": "application/json", self.header: self.asks}
        )
        response = yield from last_answer(self.inner.flow(asking, secrets, held))
        token = response.headers.get(self.header.lower(), "")
        if not token or token.lower() == self.refused.lower():
            raise self._refusal(response)
        held[HELD] = f"{token}\n{written_cookies(cookies_in(response, self.cookies))}"
        return held[HELD]

    def _refusal(self, response: Response) -> HeadraceError:
        """Why it brought no token. Only what refuses us is about how we log in: a system that is away, or shows a web page that
        says so, is as one for any other request.
        """
        failure = self.meaning(response)
        if response.status in {401, 403} or isinstance(failure, Transient | RateLimited | AuthExpired):
            return failure or NeedsOperator("auth_refused", f"The system answered {response.status}.")
        if failure is None and "html" in response.headers.get("content-type", ""):
            return Transient("malformed_page", "Where a token should be, the system shows a web page.")
        why = f"its answer has no header {self.header}" if failure is None else failure.message.rstrip(".")
        return NeedsOperator(
            NO_CSRF_TOKEN,
            f"The system gives out no token to change anything with: {why}.",
            hint="Look at csrf.path in the system's manifest, and at what the connection's user may do.",
        )

    def _with(self, request: Request, kept: str) -> Request:
        token, _, cookies = kept.partition("\n")
        return with_cookies(replace(request, headers={**request.headers, self.header: token}), cookies)
