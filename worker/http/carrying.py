"""What is done around an exchange that isn't HTTP? All that is done around one that is, but for what is HTTP's own.

Promises: each request takes a permit of its account's budget; the answer is bounded in size and time; a system that is
away is not asked by anybody for a while; a log-in that was refused isn't tried again before somebody mends it.
"""

from collections.abc import Callable, Mapping

from worker.connectors.contract import Request, Response
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.http.attempt import Attempt
from worker.http.body import too_large
from worker.http.carrier import Carrier, Errand, Holding
from worker.http.context import Budget, CallContext
from worker.http.grant import Grant, Refusals
from worker.http.heeding import Heeding, asks_to_wait
from worker.http.held import HeldTokens
from worker.http.logins import Logins
from worker.http.opened import opens_for, proved
from worker.http.wire.deadline import Deadline
from worker.http.wire.message import TooLarge
from worker.secrets import Secret
from worker.telemetry.redaction import redactor

_OUTAGES: Mapping[str, bool] = {
    "unreachable": True,
    "timeout": False,
    "broken_answer": False,
    "system_error": False,
}
"""By which codes a system is away, and whether that would have happened to every request."""


class Carrying:
    """Sends by carriers; shared by the threads of a process."""

    def __init__(
        self,
        carriers: Mapping[str, Carrier],
        budgets: Budget,
        heeding: Heeding,
        logins: Logins,
        refusals: Refusals,
        *,
        whole: float,
        wait: float,
        most: int,
    ) -> None:
        self._carriers = carriers
        self._budgets = budgets
        self._heeding = heeding
        self._logins = logins
        self._refusals = refusals
        self._held = HeldTokens()
        self._whole = whole
        self._wait = wait
        self._most = most

    def answer(self, ctx: CallContext, request: Request, comes: Callable[[int], None]) -> Response:
        """The answer; if our log-in is refused and its secret was rotated meanwhile, that of a second try."""
        return proved(ctx, lambda secrets: self._answered(ctx, request, comes, secrets))

    def let_go(self, ctx: CallContext) -> bool:
        """End what a carrier keeps for this run; whether it is one that keeps anything."""
        carrier = self._carriers.get(ctx.source.transport)
        if not isinstance(carrier, Holding):
            return False
        carrier.let_go(_run_of(ctx))
        return True

    def close(self) -> None:
        for carrier in self._carriers.values():
            carrier.close()

    def _answered(
        self,
        ctx: CallContext,
        request: Request,
        comes: Callable[[int], None],
        secrets: Mapping[str, Secret],
    ) -> Response:
        carrier = self._carriers.get(ctx.source.transport)
        if carrier is None:
            raise NeedsOperator(
                "no_transport", f"This worker can't send what goes by {ctx.source.transport}."
            )
        place = carrier.place(ctx.source)
        path = request.url.partition("?")[0]
        asked = redactor.redact(f"{request.method} {path}")
        grant = Grant(
            self._budgets,
            ctx.account,
            ctx.source.limits,
            cost=request.cost,
            lane=ctx.lane,
            steps=ctx.steps,
            refusals=self._refusals,
            call=ctx.call(request, path),
        )
        who = f"{ctx.connection_id}/{ctx.stream or path}"
        with grant:
            attempt = Attempt(ctx.steps, grant.renew_if_old, comes)
            held = self._held.of(ctx.connection_id, secrets, ctx.logs_in_by)
            errand = Errand(
                connection_id=ctx.connection_id,
                source=ctx.source,
                request=request,
                secrets=secrets,
                deadline=Deadline.of(self._whole, self._wait),
                most=self._most,
                moments=attempt,
                log_in=lambda: self._logins.attempt(ctx, held),
                network=ctx.network,
                opens=opens_for(ctx),
                run=_run_of(ctx),
            )
            said: HeadraceError | None = None
            response = Response(200, {}, b"", place)
            try:
                response = self._carried(ctx, carrier, errand, f"The answer of {place} to {asked}")
            except NeedsOperator as exc:
                said = exc
            except Transient as exc:
                if asks_to_wait(exc):
                    raise self._heeding.words(ctx.account, response, exc) from None
                if (everywhere := _OUTAGES.get(exc.code)) is not None:
                    words = redactor.redact(exc.message)
                    self._heeding.outage(ctx.account, words, who=who, everywhere=everywhere)
                raise
            # Before the permit is returned, so that nobody slips through between the two.
            self._heeding.answer(
                ctx.account,
                response,
                who=who,
                said=lambda: f"{place} answered {response.status} to {asked}",
                tried=grant.tried,
            )
        if said is not None:
            raise said
        return response

    def _carried(self, ctx: CallContext, carrier: Carrier, errand: Errand, said_by: str) -> Response:
        with ctx.steps.step("request") as step:
            try:
                response = carrier.exchange(errand)
            except TooLarge:
                raise too_large(said_by, errand.most) from None
            step.counts["status"] = response.status
            step.counts["bytes"] = len(response.body)
        if len(response.body) > errand.most:
            raise too_large(said_by, errand.most)
        return response


def _run_of(ctx: CallContext) -> str:
    return f"{ctx.connection_id}/{ctx.stream}/{ctx.request_id}"
